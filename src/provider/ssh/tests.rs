//! The provider with a fake `ssh`: a script that writes what the real one would, and a control socket
//! behind which nothing is.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::JoinSet;

use super::steps::tests::{bastion as destination, order};
use super::*;
use crate::domain::artifact::Artifact;
use crate::domain::id::SecretName;
use crate::domain::provider::bind_key;
use crate::domain::secret::Secret;
use crate::provider::UNHEARD;
use crate::ssh::Whose;
use crate::ssh::mux::fake::{Target, serve};
use crate::vault::Vault;
use crate::vault::memory::MemoryVault;

/// A bastion whose `ssh` is a script.
struct Lab {
    root: tempfile::TempDir,
    bastion: Bastion,
    order: Order,
    made: Vec<Made>,
}

/// The script finds its log behind `-E`, like the real one.
const SCRIPT: &str = "#!/bin/sh
all=\"$*\"
while [ $# -gt 0 ]; do [ \"$1\" = -E ] && log=$2; shift; done
";
/// What it does where it signs in: it stays.
const STAYS: &str = "echo 'Authenticated to x' >>\"$log\"; while :; do sleep 0.02; done";

impl Lab {
    fn new(does: &str, key: Key) -> Self {
        let root = tempfile::Builder::new().prefix("bg").tempdir_in("/tmp").unwrap();
        let ssh = fake_ssh(root.path(), does);
        let to = SshDestination { jump: vec![], ..destination() };
        let bastion = Bastion::new("lab".parse().unwrap(), to, key, ssh);
        let order = order();
        let steps = bastion.plan(&order).unwrap().into_iter().enumerate();
        let made = steps.map(|(index, step)| Made { index, step, artifact: None }).collect();
        Self { root, bastion, order, made }
    }

    fn call<'a>(&'a self, step: usize, artifact: Option<&'a Artifact>) -> StepCall<'a> {
        let (session, marker) = (self.order.session, &self.order.marker);
        StepCall {
            session,
            marker,
            step: &self.made[step].step,
            artifact,
            steps: &self.made,
            says: &UNHEARD,
        }
    }

    fn folder(&self) -> PathBuf {
        self.root.path().join("run").join(&self.order.marker.session)
    }

    async fn apply(&self, step: usize) -> Applied {
        self.bastion.apply(self.call(step, None)).await
    }

    async fn look(&self) -> Looked {
        self.bastion.look(self.call(0, None)).await
    }

    async fn undo(&self) -> Undone {
        self.bastion.undo(self.call(0, None)).await
    }
}

fn fake_ssh(root: &Path, does: &str) -> Ssh {
    let bin = root.join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::fs::write(bin.join("ssh"), format!("{SCRIPT}{does}\n")).unwrap();
    let runs = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(bin.join("ssh"), runs).unwrap();
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let whose = Whose::Operator { home: root.join("home") };
    Ssh { whose, variables: [("PATH".to_owned(), path)].into(), dir: root.join("run") }
}

#[tokio::test]
async fn a_path_is_opened_checked_dialed_and_gone() {
    let lab = Lab::new(STAYS, Key::None);
    let mut tasks = JoinSet::new();
    tasks.spawn(serve(lab.folder().join("c"), Target::Opens));
    assert_eq!(lab.look().await, Looked::Absent);
    let Applied::Applied(Some(artifact)) = lab.apply(0).await else { panic!("not applied") };
    assert_eq!(artifact.to_string(), "ssh connection bg-abc567-09090909-691f3d58");
    assert_eq!(lab.look().await, Looked::Found(artifact.clone()));
    assert_eq!(lab.apply(1).await, Applied::Applied(None));
    assert!(matches!(lab.bastion.dial(&lab.made).await, Ok(Dialed::Unix(_))));
    let listed = lab.bastion.list(&lab.order.marker.installation).await.unwrap();
    assert_eq!(listed.iter().map(|it| &it.artifact).collect::<Vec<_>>(), [&artifact]);
    assert_eq!(lab.apply(0).await, Applied::Applied(Some(artifact)), "it serves already");
    assert_eq!(lab.undo().await, Undone::Sent);
    assert_eq!(lab.look().await, Looked::Absent);
    assert_eq!(lab.undo().await, Undone::Sent, "what is gone is gone");
    assert!(lab.bastion.dial(&lab.made).await.is_err());
}

#[tokio::test]
async fn another_engine_takes_back_what_this_one_made_though_its_provider_is_gone() {
    let lab = Lab::new(STAYS, Key::None);
    let mut tasks = JoinSet::new();
    tasks.spawn(serve(lab.folder().join("c"), Target::Opens));
    assert!(matches!(lab.apply(0).await, Applied::Applied(_)));
    let later = Bastion::gone("lab".parse().unwrap(), lab.bastion.ssh.clone());
    assert!(matches!(later.look(lab.call(0, None)).await, Looked::Found(_)));
    assert_eq!(later.undo(lab.call(0, None)).await, Undone::Sent);
    assert_eq!(lab.look().await, Looked::Absent);
    assert!(later.plan(&lab.order).is_err(), "it opens nothing new");
}

#[tokio::test]
async fn a_sign_in_that_is_refused_leaves_nothing() {
    let does = "echo 'ops@bastion: Permission denied (publickey).' >>\"$log\"; exit 255";
    let lab = Lab::new(does, Key::None);
    let Applied::Refused(why) = lab.apply(0).await else { panic!("not refused") };
    assert!(why.starts_with("no key to offer to `bastion:2222`"), "{why}");
    assert_eq!(lab.look().await, Looked::Absent);
    assert!(!lab.folder().exists());
}

#[tokio::test]
async fn a_host_that_floods_the_log_is_cut_off_and_leaves_nothing() {
    let does = "head -c 40000000 /dev/zero >>\"$log\"
        wc -c <\"$log\" >\"${log%/*}/../size\"
        exit 255";
    let lab = Lab::new(does, Key::None);
    let Applied::Refused(why) = lab.apply(0).await else { panic!("not refused") };
    assert!(why.contains("a host made it write 8 MiB of log"), "{why}");
    let size = std::fs::read_to_string(lab.root.path().join("run/size")).unwrap();
    assert!(size.trim().parse::<u64>().unwrap() <= 16 * 1024 * 1024, "{size}");
    assert!(!lab.folder().exists());
}

#[tokio::test]
async fn a_host_that_takes_no_more_sign_ins_is_asked_again() {
    // It drops the first two, and says then that it has no key.
    let does = "n=\"${log%/*}/../n\"; echo x >>\"$n\"
        if [ $(wc -l <\"$n\") -lt 3 ]; then
            echo 'kex_exchange_identification: Connection closed by remote host' >>\"$log\"
        else
            echo 'ops@bastion: Permission denied (publickey).' >>\"$log\"
        fi
        exit 255";
    let lab = Lab::new(does, Key::None);
    let Applied::Refused(why) = lab.apply(0).await else { panic!("not refused") };
    assert!(why.starts_with("no key to offer"), "{why}");
    let tries = std::fs::read_to_string(lab.root.path().join("run/n")).unwrap();
    assert_eq!(tries.lines().count(), 3);
}

#[tokio::test]
async fn no_ssh_at_all_is_said_and_leaves_nothing() {
    let lab = Lab::new("exit 127", Key::None);
    let Applied::Refused(why) = lab.apply(0).await else { panic!("not refused") };
    assert_eq!(
        why,
        "cannot run `ssh`: it ended at once; see that it is installed and runs (`ssh -V`); install \
         the OpenSSH client"
    );
    assert_eq!(lab.look().await, Looked::Absent);
}

#[tokio::test]
async fn a_target_that_is_closed_or_forbidden_is_refused_with_what_to_do() {
    for (line, start) in [
        (
            "channel 1: open failed: connect failed: Connection refused",
            "`orders.internal:5432` refuses the connection from `bastion:2222`",
        ),
        (
            "channel 1: open failed: administratively prohibited: open failed",
            "`bastion:2222` may not pass connections on to `orders.internal:5432`",
        ),
    ] {
        let lab = Lab::new(STAYS, Key::None);
        let mut tasks = JoinSet::new();
        let target = Target::Refuses(lab.folder().join("log"), line);
        tasks.spawn(serve(lab.folder().join("c"), target));
        assert!(matches!(lab.apply(0).await, Applied::Applied(_)));
        let Applied::Refused(why) = lab.apply(1).await else { panic!("not refused") };
        assert!(why.starts_with(start), "{why}");
        assert_eq!(lab.undo().await, Undone::Sent);
    }
}

#[tokio::test]
async fn a_lost_connection_is_told_with_its_reason_and_trouble_meanwhile() {
    let lab = Lab::new(STAYS, Key::None);
    let mut tasks = JoinSet::new();
    let log = lab.folder().join("log");
    let refusal = "channel 1: open failed: connect failed: Connection refused";
    tasks.spawn(serve(lab.folder().join("c"), Target::Refuses(log.clone(), refusal)));
    assert!(matches!(lab.apply(0).await, Applied::Applied(_)));
    let (tell, mut told) = mpsc::channel(8);
    let trouble = async {
        // Until it is told: what was written before the watch began is nobody's trouble any more.
        let why = loop {
            lab.apply(1).await;
            if let Ok(why) = told.try_recv() {
                break why;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        };
        let mut end = std::fs::File::options().append(true).open(&log).unwrap();
        std::io::Write::write_all(&mut end, b"Timeout, server x not responding.\n").unwrap();
        crate::process::end(&lab.made_mark(), std::time::Duration::ZERO).await.unwrap();
        tasks.shutdown().await;
        why
    };
    let (lost, why) = tokio::join!(lab.bastion.watch(&lab.made, tell), trouble);
    let Told::Trouble(why) = why else { panic!("{why:?}") };
    assert!(why.starts_with("`orders.internal:5432` refuses"), "{why}");
    assert_eq!(lost.step, 0);
    assert!(lost.why.starts_with("`bastion:2222` stopped answering"), "{}", lost.why);
    assert!(matches!(lab.look().await, Looked::Found(_)), "its folder is left");
    assert_eq!(lab.undo().await, Undone::Sent);
    assert_eq!(lab.look().await, Looked::Absent);
}

impl Lab {
    fn made_mark(&self) -> String {
        Action::of(&self.made[0].step).unwrap().master().mark()
    }
}

#[tokio::test]
async fn a_key_is_given_to_no_other_host_and_never_with_a_passphrase() {
    let vault: Arc<dyn Vault> = Arc::new(MemoryVault::default());
    let name: SecretName = "provider-lab".parse().unwrap();
    let key = |is_for: &str| Key::InVault {
        vault: Arc::clone(&vault),
        name: name.clone(),
        is_for: is_for.to_owned(),
    };
    let refusal = async |key: Key| {
        let lab = Lab::new("exit 1", key);
        let Applied::Refused(why) = lab.apply(0).await else { panic!("not refused") };
        assert_eq!(lab.look().await, Looked::Absent);
        why
    };
    let mut all = vec![refusal(key("ssh ops@bastion")).await];
    let secret = Secret::new(
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nvole-canary\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    vault.put(&name, &bind_key("ssh ops@bastion", &secret)).await.unwrap();
    all.push(refusal(key("ssh ops@evil")).await);
    all.push(refusal(key("ssh ops@bastion")).await);
    all.push(refusal(Key::Given(Secret::new("hunter2"))).await);
    insta::assert_snapshot!(all.join("\n"), @r"
    its key is not in the vault; give it: `breakglass providers rotate-key lab`
    the key was given for `ssh ops@bastion`, and the provider is now `ssh ops@evil`; give it anew: `breakglass providers rotate-key lab`
    the provider's key: the key has a passphrase, and nobody is there to type it when a session opens: give one without (`ssh-keygen -p -N '' -f COPY_OF_IT`); the vault keeps it sealed
    the provider's key: this is no private key: give the whole text, from `-----BEGIN` to the last `-----`
    ");
}

#[test]
fn who_else_may_use_the_path_is_said() {
    let lab = Lab::new("exit 1", Key::None);
    let all = [vec![lab.bastion.about()], lab.bastion.audience(&lab.order)].concat();
    insta::assert_snapshot!(all.join("\n"), @r"
    through ops@bastion:2222: one connection a session, which ends with it
    on this host: the user that runs this engine, and root; nobody else can enter the folder of the connection
    beyond it: everybody who may sign in at bastion:2222 and forward from there reaches orders.internal:5432, with or without this session; it opens nothing for them and confines nobody
    ");
}
