//! The Break-Glass Users tab: one identity provider at a time, its list, and a working copy of the
//! list while it is edited.

use crate::domain::account::AccountId;
use crate::domain::break_glass_user::LISTED_MAX;
use crate::domain::email::Email;
use crate::domain::id::IdpId;
use crate::domain::role::Role;
use crate::protocol::{IdentityView, IdpView, ListedView};

/// The Break-Glass Users tab.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Users {
    /// The chosen identity provider; where it is gone, the first one stands in.
    pub idp: Option<IdpId>,
    /// The row under the cursor.
    pub cursor: usize,
    /// How many lines are scrolled away.
    pub scroll: usize,
    /// The working copy, while the list is edited.
    pub edit: Option<Edit>,
}

/// A working copy of one list: what would change.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    /// Whose list.
    pub idp: IdpId,
    /// What would change, in the order in which it was decided.
    pub changes: Vec<Change>,
    /// True while the engine considers it.
    pub sent: bool,
}

/// One change of a list.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Somebody comes on it.
    Add(Added),
    /// Somebody goes.
    Remove(Email),
}

/// Somebody whom the engine would take in.
#[derive(Clone, Debug, PartialEq)]
pub struct Added {
    /// Their address.
    pub email: Email,
    /// What they may do, where the engine said so.
    pub role: Option<Role>,
    /// What to warn of.
    pub warning: Option<String>,
}

/// One row of the list on screen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Row<'a> {
    /// Listed; true where the working copy takes them off.
    Listed(&'a ListedView, bool),
    /// In the working copy only.
    Added(&'a Added),
}

impl Row<'_> {
    /// Whose row it is.
    #[must_use]
    pub const fn email(&self) -> &Email {
        match self {
            Self::Listed(listed, _) => &listed.email,
            Self::Added(added) => &added.email,
        }
    }

    /// The account, where it is known.
    #[must_use]
    pub const fn account(&self) -> Option<AccountId> {
        match self {
            Self::Listed(listed, _) => Some(listed.account),
            Self::Added(_) => None,
        }
    }
}

impl Users {
    /// The chosen identity provider.
    #[must_use]
    pub fn chosen<'a>(&self, identity: &'a IdentityView) -> Option<&'a IdpView> {
        let named = |idp: &&IdpView| Some(&idp.id) == self.idp.as_ref();
        identity.idps.iter().find(named).or_else(|| identity.idps.first())
    }

    /// The rows of the chosen list, with what the working copy would change.
    #[must_use]
    pub fn rows<'a>(&'a self, identity: &'a IdentityView) -> Vec<Row<'a>> {
        let Some(idp) = self.chosen(identity) else { return vec![] };
        let edit = self.edit.as_ref().filter(|edit| edit.idp == idp.id);
        let goes = |email: &Email| edit.is_some_and(|edit| edit.removes(email));
        let listed = idp.listed.iter().map(|listed| Row::Listed(listed, goes(&listed.email)));
        let added = edit.into_iter().flat_map(Edit::added).map(Row::Added);
        listed.chain(added).collect()
    }

    /// The row under the cursor.
    #[must_use]
    pub fn selected<'a>(&'a self, identity: &'a IdentityView) -> Option<Row<'a>> {
        self.rows(identity).get(self.cursor).copied()
    }

    /// Goes to the identity provider a number of places on, round the corner.
    pub fn step(&mut self, identity: &IdentityView, forward: bool) {
        let count = identity.idps.len().max(1);
        let id = self.chosen(identity).map(|idp| &idp.id);
        let at = identity.idps.iter().position(|idp| Some(&idp.id) == id).unwrap_or(0);
        let next = (at + if forward { 1 } else { count - 1 }) % count;
        self.idp = identity.idps.get(next).map(|idp| idp.id.clone());
        (self.cursor, self.scroll) = (0, 0);
    }

    /// Brings cursor and working copy in line with what the engine says.
    pub fn follow(&mut self, identity: &IdentityView) {
        if let Some(edit) = &mut self.edit {
            let Some(idp) = identity.idps.iter().find(|idp| idp.id == edit.idp) else {
                self.edit = None;
                return;
            };
            let listed = |email: &Email| idp.listed.iter().any(|it| it.email == *email);
            // Somebody else may have done what this copy only plans.
            edit.changes.retain(|change| match change {
                Change::Add(added) => !listed(&added.email),
                Change::Remove(email) => listed(email),
            });
        }
        self.cursor = self.cursor.min(self.rows(identity).len().saturating_sub(1));
    }
}

impl Edit {
    /// A working copy in which nothing has changed.
    #[must_use]
    pub const fn new(idp: IdpId) -> Self {
        Self { idp, changes: vec![], sent: false }
    }

    /// Who would come on the list.
    pub fn added(&self) -> impl Iterator<Item = &Added> {
        self.changes.iter().filter_map(|change| match change {
            Change::Add(added) => Some(added),
            Change::Remove(_) => None,
        })
    }

    /// Who would go.
    pub fn removed(&self) -> impl Iterator<Item = &Email> {
        self.changes.iter().filter_map(|change| match change {
            Change::Remove(email) => Some(email),
            Change::Add(_) => None,
        })
    }

    /// True where this one would go.
    #[must_use]
    pub fn removes(&self, email: &Email) -> bool {
        self.removed().any(|other| other == email)
    }

    /// True where this one would come.
    #[must_use]
    pub fn adds(&self, email: &Email) -> bool {
        self.added().any(|added| added.email == *email)
    }

    /// How many the list would hold.
    #[must_use]
    pub fn count(&self, listed: usize) -> usize {
        (listed + self.added().count()).saturating_sub(self.removed().count())
    }

    /// True where one more would fit.
    #[must_use]
    pub fn has_room(&self, listed: usize) -> bool {
        self.count(listed) < LISTED_MAX
    }

    /// Marks somebody for removal, or takes the mark or the addition back.
    pub fn mark(&mut self, email: &Email) {
        let before = self.changes.len();
        self.changes.retain(|change| match change {
            Change::Add(added) => added.email != *email,
            Change::Remove(other) => other != email,
        });
        if self.changes.len() == before {
            self.changes.push(Change::Remove(email.clone()));
        }
    }
}

/// How many on a list would get in: those that count.
#[must_use]
pub fn usable(idp: &IdpView) -> usize {
    idp.listed.iter().filter(|listed| listed.stale.is_none()).count()
}
