//! What faces and engine say to each other about people: sign-ins, accounts, identity providers,
//! break-glass users and the vault.

use serde::{Deserialize, Serialize};

use crate::domain::account::AccountId;
use crate::domain::break_glass_user::Stale;
use crate::domain::email::Email;
use crate::domain::id::IdpId;
use crate::domain::identity_provider::{IdpHealth, IdpSettings};
use crate::domain::probe::Probe;
use crate::domain::role::Role;
use crate::domain::secret::Secret;
use crate::domain::sign_in::SignInMethod;
use crate::domain::time::Timestamp;

/// What a person asks for themselves. None of it needs a sign-in but where it says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignInAsk {
    /// Make the first Owner and sign them in. Refused once there is one. Answered with
    /// `Reply::SignedIn`.
    Init {
        /// Their address.
        email: Email,
        /// Their password.
        password: Secret,
    },
    /// Sign in by password. Answered with `Reply::SignedIn`.
    Password {
        /// The address.
        email: Email,
        /// The password.
        password: Secret,
    },
    /// Begin a single sign-on. Answered with `Reply::SsoPrompt`.
    BeginSso {
        /// At which identity provider.
        idp: IdpId,
    },
    /// Wait for the end of a single sign-on that was begun, minutes perhaps. Answered with
    /// `Reply::SignedIn`. Only who began it may.
    FinishSso {
        /// Which, as the prompt said.
        attempt: u64,
    },
    /// Set a password with a one-time code of an Owner. Answered with `Reply::Done`; whether it
    /// lets them in is another question.
    Redeem {
        /// The address that the code was made for.
        email: Email,
        /// The code.
        code: Secret,
        /// The password.
        password: Secret,
    },
    /// Set one's own password. Needs a sign-in. Answered with `Reply::Done`.
    SetPassword {
        /// The one that is set, where one is.
        current: Option<Secret>,
        /// The new one.
        new: Secret,
    },
    /// End one's sign-in. Answered with `Reply::Done`.
    Logout,
    /// Who am I? Answered with `Reply::Me`.
    Whoami,
}

/// What is asked about accounts. All of it needs a sign-in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OperatorsAsk {
    /// List them by address. Answered with `Reply::Operators`.
    List {
        /// Only those whose address or role holds this text.
        filter: Option<String>,
        /// At most this many; the engine gives at most 1,000.
        limit: u32,
        /// Skip this many.
        offset: u32,
    },
    /// Take somebody into the team. Answered with `Reply::Code`.
    Invite {
        /// Their address.
        email: Email,
        /// What they may do.
        role: Role,
    },
    /// Let somebody set their password anew. Answered with `Reply::Code`.
    Reset {
        /// Their address.
        email: Email,
    },
    /// Remove somebody from the team; their sign-ins and sessions end. Answered with `Reply::Done`.
    Remove {
        /// Their address.
        email: Email,
        /// The address, typed, where the engine asks for that.
        confirm: Option<String>,
    },
    /// Give somebody another role; where it is a lesser one, their sign-ins and sessions end.
    /// Answered with `Reply::Done`.
    SetRole {
        /// Their address.
        email: Email,
        /// The role.
        role: Role,
    },
}

/// What is asked about identity providers. All of it needs a sign-in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdpAsk {
    /// List them with their break-glass users. Answered with `Reply::IdentityProviders`.
    List,
    /// Add one, or change the settings of one. It is looked at first, and what fails that is kept
    /// only where `unhealthy` says so. Answered with `Reply::Probe`.
    Add {
        /// Its settings.
        settings: Box<IdpSettings>,
        /// Its client secret, for the vault.
        secret: Option<Secret>,
        /// Keep it even where it does not work now.
        unhealthy: bool,
    },
    /// Look at one now. Answered with `Reply::Probe`.
    Validate {
        /// Which.
        idp: IdpId,
    },
    /// Enforce its SSO, or stop enforcing. Answered with `Reply::IdentityProviders`.
    Enforce {
        /// Which.
        idp: IdpId,
        /// Enforce or not.
        on: bool,
        /// Its name, typed, where the engine asks for that.
        confirm: Option<String>,
    },
    /// Remove one, with its list. Refused while its SSO is enforced. Answered with `Reply::Done`.
    Remove {
        /// Which.
        idp: IdpId,
    },
}

/// What is asked about break-glass users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BreakGlassAsk {
    /// Say whether an operator could be listed. Needs a sign-in. Answered with `Reply::Listed`: how
    /// they would stand on the list.
    Check {
        /// On which list.
        idp: IdpId,
        /// Who.
        email: Email,
    },
    /// Change a list: everything, or nothing. Needs a sign-in. Answered with
    /// `Reply::IdentityProviders`.
    Change {
        /// Which list.
        idp: IdpId,
        /// Who comes on it.
        add: Vec<Email>,
        /// Who goes.
        remove: Vec<Email>,
        /// The identity provider's name, typed, where the engine asks for that.
        confirm: Option<String>,
    },
    /// Show that one's own password works. Nobody is signed in by it. Answered with `Reply::Done`.
    Prove {
        /// On which list.
        idp: IdpId,
        /// Who.
        email: Email,
        /// Their password.
        password: Secret,
    },
}

/// What is asked of the vault. All of it needs a sign-in, but unlocking and status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VaultAsk {
    /// How is it? Answered with `Reply::Vault`, as is all but an export.
    Status,
    /// Open it.
    Unlock {
        /// Its passphrase.
        passphrase: Secret,
    },
    /// Seal it with another passphrase.
    ChangePassphrase {
        /// The one it has.
        old: Secret,
        /// The one it gets.
        new: Secret,
    },
    /// Give everything in it, sealed with a passphrase of its own. Answered with `Reply::Sealed`.
    Export {
        /// The passphrase of the export.
        passphrase: Secret,
    },
    /// Take in what was exported.
    Import {
        /// The sealed text.
        sealed: String,
        /// The passphrase of the export.
        passphrase: Secret,
    },
}

/// The identity half, as far as the one who looks may see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityView {
    /// Whose engine this is.
    pub mode: Mode,
    /// False until the first Owner is made.
    pub owner_exists: bool,
    /// False in a drill, where nobody signs in.
    pub sign_in_needed: bool,
    /// Who is signed in at this face.
    pub me: Option<SignedInView>,
    /// The identity providers, in the order of the configuration. Who is listed, and what follows
    /// from it, is there for Admins and Owners only.
    pub idps: Vec<IdpView>,
}

impl IdentityView {
    /// What holds in a drill: nobody signs in.
    #[must_use]
    pub const fn of_drill() -> Self {
        Self {
            mode: Mode::Personal,
            owner_exists: false,
            sign_in_needed: false,
            me: None,
            idps: vec![],
        }
    }

    /// True where nothing can be done before somebody signs in.
    #[must_use]
    pub const fn bars(&self) -> bool {
        self.sign_in_needed && self.me.is_none()
    }
}

/// Whose engine it is, and so what a sign-in is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// One UNIX user's own: signing in records who acted, and cannot bar who owns the files.
    #[default]
    Personal,
    /// One for the whole host, under a UNIX user of its own: signing in bars.
    System,
}

impl Mode {
    /// The word on screens.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Personal => "personal",
            Self::System => "system",
        }
    }

    /// What it means for a sign-in, in one line.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Personal => {
                "personal mode: signing in records who acts; it cannot bar who owns this account's files"
            }
            Self::System => "system mode: one team, one audit on this host; signing in is enforced",
        }
    }
}

/// Somebody's sign-in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedInView {
    /// Their account.
    pub account: AccountId,
    /// Their address.
    pub email: Email,
    /// What they may do.
    pub role: Role,
    /// How they signed in.
    pub method: SignInMethod,
    /// Since when.
    pub started_at: Timestamp,
    /// When it ends unless it is used.
    pub ends_at: Timestamp,
}

/// One operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorView {
    /// Their account.
    pub account: AccountId,
    /// Their address.
    pub email: Email,
    /// What they may do.
    pub role: Role,
    /// Whether they belong to the team.
    pub member: bool,
    /// Whether they have a password.
    pub has_password: bool,
    /// The identity provider they are bound to.
    pub bound_to: Option<IdpId>,
    /// When a code that is out for them stops working.
    pub code_expires_at: Option<Timestamp>,
    /// On which lists they are.
    pub listed: Vec<IdpId>,
    /// When the account was made.
    pub created_at: Timestamp,
}

/// Operators, as far as they were asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorsView {
    /// How many there are in all.
    pub total: u64,
    /// How many the filter leaves.
    pub matching: u64,
    /// Those asked for, by address.
    pub operators: Vec<OperatorView>,
}

/// One identity provider, with its list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdpView {
    /// Its name.
    pub id: IdpId,
    /// What people call its kind: `Microsoft Entra ID`.
    pub label: String,
    /// Its settings; absent for who is not signed in.
    pub settings: Option<IdpSettings>,
    /// Whether its SSO is enforced.
    pub enforced: bool,
    /// How it does.
    pub health: IdpHealth,
    /// What the last look showed.
    pub probe: Option<Probe>,
    /// Who is listed.
    pub listed: Vec<ListedView>,
    /// Who could get in if it failed now, in one line.
    pub forecast: String,
    /// What to mend, a line each.
    pub warnings: Vec<String>,
}

/// One operator on a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedView {
    /// Their account.
    pub account: AccountId,
    /// Their address.
    pub email: Email,
    /// What they may do.
    pub role: Role,
    /// Since when they are listed; absent for who only might be.
    pub added_at: Option<Timestamp>,
    /// When they last proved that their password works.
    pub proven_at: Option<Timestamp>,
    /// Whether it is time for a proof.
    pub proof_due: bool,
    /// Why the entry counts for nothing, if it does not.
    pub stale: Option<Stale>,
    /// What to warn of.
    pub warning: Option<String>,
}

/// What a person needs to sign in at an identity provider's page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SsoPromptView {
    /// Names the attempt, for `FinishSso`.
    pub attempt: u64,
    /// What to type there.
    pub user_code: String,
    /// Where.
    pub verification_uri: String,
    /// The same with the code in it, for a QR code.
    pub verification_uri_complete: Option<String>,
    /// When the code stops working.
    pub expires_at: Timestamp,
}
