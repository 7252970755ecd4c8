//! A store in memory that can be told to fail, and that outlives the engines that use it.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use breakglass::domain::audit_event::AuditEvent;
use breakglass::domain::id::SessionId;
use breakglass::protocol::{AuditVerdict, SessionQuery, SessionView};
use breakglass::session::Entry;
use breakglass::store::{Batch, Record, RecordKind, Store, StoreError};

/// Everything durable, in memory.
#[derive(Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    sessions: BTreeMap<SessionId, (SessionView, Vec<Entry>)>,
    audit: Vec<AuditEvent>,
    records: BTreeMap<(RecordKind, String), String>,
    settings: BTreeMap<String, String>,
    full: bool,
}

impl MemoryStore {
    /// From now on nothing can be written, or it can again.
    pub fn set_full(&self, full: bool) {
        self.state.lock().unwrap().full = full;
    }

    /// All audit events, in order.
    pub fn events(&self) -> Vec<AuditEvent> {
        self.state.lock().unwrap().audit.clone()
    }

    /// The types of all audit events, in order.
    pub fn audit_kinds(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        state.audit.iter().map(|event| event.event.kind.clone()).collect()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn append(&self, batch: Batch) -> Result<Vec<AuditEvent>, StoreError> {
        let mut state = self.state.lock().unwrap();
        if state.full {
            return Err(StoreError::Full { path: "memory".into() });
        }
        if let Some(change) = batch.session {
            let id = change.view.id;
            let row = state.sessions.entry(id).or_insert_with(|| ((*change.view).clone(), vec![]));
            let have = row.1.len() as u64;
            if have != change.first {
                return Err(StoreError::Gap { session: id, have, first: change.first });
            }
            row.0 = *change.view;
            row.1.extend(change.entries);
        }
        for Record { kind, key, body } in batch.records {
            match body {
                Some(body) => drop(state.records.insert((kind, key), body)),
                None => drop(state.records.remove(&(kind, key))),
            }
        }
        state.settings.extend(batch.settings);
        let mut written = vec![];
        for event in batch.audit {
            let seq = state.audit.len() as u64 + 1;
            let event = AuditEvent {
                seq,
                id: seq.to_string(),
                time: batch.wall.to_rfc3339(),
                event,
                prev: String::new(),
                hash: String::new(),
            };
            state.audit.push(event.clone());
            written.push(event);
        }
        Ok(written)
    }

    async fn open_journals(&self) -> Result<Vec<(SessionId, Vec<Entry>)>, StoreError> {
        let state = self.state.lock().unwrap();
        let open = state.sessions.iter().filter(|(_, (view, _))| view.state.is_live());
        Ok(open.map(|(id, (_, entries))| (*id, entries.clone())).collect())
    }

    async fn sessions(&self, query: SessionQuery) -> Result<Vec<SessionView>, StoreError> {
        let state = self.state.lock().unwrap();
        let all = state.sessions.values().rev().map(|(view, _)| view.clone());
        let wanted = all.filter(|view| query.state.is_none_or(|state| view.state == state));
        Ok(wanted.skip(query.offset as usize).take(query.limit as usize).collect())
    }

    async fn find(&self, text: &str) -> Result<Vec<SessionView>, StoreError> {
        let state = self.state.lock().unwrap();
        let found = state.sessions.iter().filter(|(id, _)| id.matches(text));
        Ok(found.map(|(_, (view, _))| view.clone()).collect())
    }

    async fn ended_total(&self) -> Result<u64, StoreError> {
        let state = self.state.lock().unwrap();
        Ok(state.sessions.values().filter(|(view, _)| !view.state.is_live()).count() as u64)
    }

    async fn reasons(&self, limit: u32) -> Result<Vec<String>, StoreError> {
        let state = self.state.lock().unwrap();
        let reasons = state.sessions.values().rev().map(|(view, _)| view.reason.clone());
        Ok(reasons.take(limit as usize).collect())
    }

    async fn audit_tail(
        &self,
        limit: u32,
        before: Option<u64>,
    ) -> Result<Vec<AuditEvent>, StoreError> {
        let state = self.state.lock().unwrap();
        let until = before.map_or(state.audit.len(), |seq| {
            (seq as usize).saturating_sub(1).min(state.audit.len())
        });
        Ok(state.audit[until.saturating_sub(limit as usize)..until].to_vec())
    }

    async fn audit_verify(&self) -> Result<AuditVerdict, StoreError> {
        let events = self.state.lock().unwrap().audit.len() as u64;
        Ok(AuditVerdict { events, broken: None, head: "none".into() })
    }

    async fn setting(&self, key: &str) -> Result<Option<String>, StoreError> {
        Ok(self.state.lock().unwrap().settings.get(key).cloned())
    }

    async fn records(&self, kind: RecordKind) -> Result<Vec<String>, StoreError> {
        let state = self.state.lock().unwrap();
        let wanted = state.records.iter().filter(|((of, _), _)| *of == kind);
        Ok(wanted.map(|(_, body)| body.clone()).collect())
    }

    async fn close(&self) {}
}
