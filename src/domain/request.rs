//! What an operator asks for, and what a session is a session of.

use serde::{Deserialize, Serialize};

use super::id::TargetId;
use super::id::{ProviderId, SiteId};
use super::operator::Operator;
use super::provider::ProviderKind;
use super::target::{Address, Target, TargetKind};
use super::time::Span;

/// What an operator asks for. Nothing else is ever asked: the path follows by rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenRequest {
    /// What to reach.
    pub target: TargetChoice,
    /// Why; free text, or as `policy.reason-pattern` wants it.
    pub reason: String,
    /// For how long, counted from activation; the policy's default where absent.
    pub duration: Option<Span>,
    /// Whether the operator agrees to what opening changes in a file of others: a policy file.
    #[serde(default)]
    pub agreed: bool,
}

/// How an operator agrees: what the hint of a refusal says that wants it.
pub const AGREE: &str = "--agree";

/// A target as an operator names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetChoice {
    /// One of the catalogue.
    Named(TargetId),
    /// One that is in no catalogue, where `policy.ad-hoc-targets` allows it.
    AdHoc {
        /// Where it is.
        address: Address,
        /// What speaks there.
        kind: TargetKind,
        /// The site it belongs to, if the operator says so.
        site: Option<SiteId>,
    },
}

/// A request that policy has accepted, with everything that was decided about it.
///
/// It stands in the journal whole, so that a session never depends on a later configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// What to reach, as the catalogue had it.
    pub target: Target,
    /// Why.
    pub reason: String,
    /// How long, counted from activation.
    pub lease: Span,
    /// The longest that extensions may make it, counted from activation.
    pub lease_max: Span,
    /// Who asked.
    pub operator: Operator,
    /// How the target is reached, fixed from here on.
    pub path: NetworkPath,
    /// Who besides this session could reach the target over its path, as far as that is known.
    #[serde(default)]
    pub audience: Vec<String>,
    /// True for a drill.
    pub drill: bool,
}

/// How a target is reached: which provider, and why that one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkPath {
    /// The provider that carries it.
    pub provider: ProviderId,
    /// What kind of system that is.
    pub kind: ProviderKind,
    /// Why this provider, in words.
    pub why: String,
}
