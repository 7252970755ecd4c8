//! Starts Jobs in a Kubernetes cluster, through `kubectl`.
//!
//! ```text
//! create Job ── create Secret that it owns ── its pod finds its variables and starts
//! ```
//!
//! The Job first, so that from the first moment on there is a deadline (`activeDeadlineSeconds`), and
//! the Secret has an owner with which it is removed. Until the Secret is there, the pod waits for it.
//! A minute after the end the Job removes itself, pods and Secret with it.
//!
//! Manifests go through standard input: no secret is in an argument or a file.

mod manifest;

use async_trait::async_trait;
use serde_json::Value;

use super::Waits;
use super::order::{LINES_MAX, Order};
use super::transport::{Lost, Transport};
use super::way::{Failed, Seen, Way};
use crate::clock::Stopwatch;
use crate::domain::id::InstallationId;
use crate::domain::launcher::KubernetesLauncher;
use crate::domain::probe::ProbeCheck;
use crate::domain::text;
use crate::domain::time::Span;
use crate::process::{Ran, Variables};
use crate::session::Undone;

/// The Jobs of a namespace.
pub(super) struct Jobs<'a> {
    settings: &'a KubernetesLauncher,
    transport: Transport,
}

impl<'a> Jobs<'a> {
    /// Makes the way.
    pub fn new(settings: &'a KubernetesLauncher, variables: &Variables, waits: &Waits) -> Self {
        Self { settings, transport: Transport::here(variables.clone(), waits) }
    }

    fn words(&self, words: &[&str]) -> Vec<String> {
        let mut all = vec!["kubectl".to_owned()];
        if let Some(file) = &self.settings.kubeconfig {
            all.push(format!("--kubeconfig={}", file.display()));
        }
        if let Some(context) = &self.settings.context {
            all.push(format!("--context={context}"));
        }
        all.push(format!("--namespace={}", self.settings.namespace));
        all.extend(words.iter().map(|word| (*word).to_owned()));
        all
    }

    async fn run(&self, words: &[&str], input: &[u8]) -> Result<Ran, Lost> {
        let mut words = self.words(words);
        words.push("--request-timeout=15s".to_owned());
        self.transport.run(words, input, LIMIT).await
    }

    async fn ask(&self, words: &[&str]) -> Result<String, String> {
        let ran = self.run(words, b"").await.map_err(|lost| lost.why)?;
        if ran.is_well() { Ok(ran.stdout) } else { Err(self.trouble(&ran)) }
    }

    async fn create(&self, manifest: &Value) -> Result<Ran, Failed> {
        let manifest = zeroize::Zeroizing::new(manifest.to_string());
        let words = ["create", "--filename=-", "--output=json", "--validate=false"];
        Ok(self.run(&words, manifest.as_bytes()).await?)
    }

    /// Whether this user may do something there.
    async fn may(&self, verb: &str, what: &str) -> Result<bool, String> {
        let ran = self.run(&["auth", "can-i", verb, what], b"").await.map_err(|lost| lost.why)?;
        match (ran.is_well(), ran.stdout.trim().starts_with("no")) {
            (true, _) => Ok(true),
            (false, true) => Ok(false),
            (false, false) => Err(self.trouble(&ran)),
        }
    }

    /// What went wrong, and what to do where that is known.
    fn trouble(&self, ran: &Ran) -> String {
        let said = ran.complaint();
        let KubernetesLauncher { namespace, context, .. } = self.settings;
        let whole = ran.stderr.to_ascii_lowercase();
        if ran.stderr.contains("(Forbidden)") {
            format!("the cluster forbids it: {said}")
        } else if whole.contains("unauthorized") || whole.contains("must be logged in") {
            "the cluster does not know this user any more: sign in to it again".to_owned()
        } else if whole.contains("context") && whole.contains("does not exist") {
            let context = context.as_deref().unwrap_or_default();
            format!("the kubeconfig has no context `{}`", text::shown(context))
        } else if whole.contains("namespaces") && whole.contains("not found") {
            format!("the cluster has no namespace `{}`", text::shown(namespace))
        } else {
            format!("the cluster answers: {said}")
        }
    }

    /// Whether a failed request has surely changed nothing.
    fn failed(&self, ran: &Ran) -> Failed {
        let surely = |part: &&str| ran.stderr.contains(*part);
        let why = self.trouble(ran);
        if SURELY_NOTHING.iter().any(surely) { Failed::Refused(why) } else { Failed::Unknown(why) }
    }
}

#[async_trait]
impl Way for Jobs<'_> {
    async fn see(&self, name: &str) -> Result<Seen, String> {
        let selector = format!("--selector=breakglass/name={name}");
        let said = self.ask(&["get", "jobs,secrets,pods", &selector, "--output=json"]).await?;
        manifest::seen(&said).ok_or_else(|| "the cluster answers oddly".to_owned())
    }

    async fn launch(&self, order: &Order<'_>) -> Result<Value, Failed> {
        if order.spec.image.is_empty() {
            let what = text::shown(&order.spec.what);
            return Err(Failed::Refused(format!("no image of the {what} is known")));
        }
        let ran = order.scrubbed(self.create(&manifest::job(order)).await?);
        if !ran.is_well() {
            return Err(self.failed(&ran));
        }
        if order.secrets.is_empty() {
            return Ok(Value::Null);
        }
        let job: Value = serde_json::from_str(&ran.stdout).unwrap_or_default();
        let uid = job.pointer("/metadata/uid").and_then(Value::as_str);
        let uid =
            uid.ok_or_else(|| Failed::Unknown("the cluster gave the Job no uid".to_owned()))?;
        let ran = order.scrubbed(self.create(&manifest::secret(order, uid)).await?);
        if ran.is_well() { Ok(Value::Null) } else { Err(self.failed(&ran)) }
    }

    async fn stop(&self, name: &str) -> Undone {
        let (job, secret) = (format!("jobs/{name}"), format!("secrets/{name}"));
        let how = ["--ignore-not-found=true", "--wait=false", "--cascade=background"];
        let words = [&["delete", &job, &secret][..], &how].concat();
        self.ask(&words).await.map_or_else(Undone::Problem, |_| Undone::Sent)
    }

    async fn logs(&self, name: &str) -> Result<String, String> {
        let (job, tail) = (format!("job/{name}"), format!("--tail={LINES_MAX}"));
        let logs = self.ask(&["logs", &job, &tail]).await;
        match &logs {
            Ok(text) if !text.trim().is_empty() => return logs,
            _ => {}
        }
        // What has never run has said nothing, but the cluster knows why.
        let selector = format!("--selector=breakglass/name={name}");
        let pods = self.ask(&["get", "pods", &selector, "--output=json"]).await?;
        manifest::waiting(&pods).map_or(logs, Ok)
    }

    async fn list(&self, installation: &InstallationId) -> Result<Vec<String>, String> {
        let selector = format!("--selector=breakglass/installation={installation}");
        let output = "--output=jsonpath={range .items[*]}{.metadata.name}{\"\\n\"}{end}";
        let said = self.ask(&["get", "jobs,secrets", &selector, output]).await?;
        Ok(said.lines().map(|line| line.trim().to_owned()).collect())
    }

    async fn validate(&self) -> Vec<ProbeCheck> {
        let mut checks = vec![];
        for (verb, what, needed) in RIGHTS {
            let watch = Stopwatch::start();
            let allowed = self.may(verb, what).await;
            let is_lost = allowed.is_err();
            let namespace = &self.settings.namespace;
            let found = match allowed {
                Ok(true) => Ok("allowed".to_owned()),
                Ok(false) => Err(format!(
                    "not allowed in namespace {namespace}: give a Role with `{verb}` on `{what}`"
                )),
                Err(why) => Err(why),
            };
            let millis = watch.elapsed().as_millis();
            checks.push(ProbeCheck { name: format!("{verb} {what}"), needed, found, millis });
            if is_lost {
                // The others would say the same.
                break;
            }
        }
        checks
    }

    fn expires(&self, at: &str) -> String {
        format!("the cluster ends the Job at {at}, which cannot be moved later")
    }

    fn by_hand(&self, name: &str) -> Vec<Vec<String>> {
        let (job, secret) = (format!("jobs/{name}"), format!("secrets/{name}"));
        vec![self.words(&["delete", &job, &secret, "--ignore-not-found=true"])]
    }

    fn noun(&self) -> &'static str {
        "Job"
    }
}

/// What must be allowed, and what would be good to be.
const RIGHTS: [(&str, &str, bool); 8] = [
    ("create", "jobs.batch", true),
    ("list", "jobs.batch", true),
    ("delete", "jobs.batch", true),
    ("create", "secrets", true),
    ("list", "secrets", true),
    ("delete", "secrets", true),
    ("list", "pods", true),
    ("get", "pods/log", false),
];

/// What `kubectl` says where the request was answered with a refusal, or never sent.
const SURELY_NOTHING: [&str; 12] = [
    "(Forbidden)",
    "(NotFound)",
    "(Invalid)",
    "(BadRequest)",
    "(AlreadyExists)",
    "(TooManyRequests)",
    "(Unauthorized)",
    "You must be logged in",
    "connection refused",
    "did you specify the right host or port",
    "no such host",
    "does not exist",
];

const LIMIT: Span = Span::from_seconds(20);
