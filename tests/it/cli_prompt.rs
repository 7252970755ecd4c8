//! The masked prompt in a real pseudo-terminal: nothing is echoed, a paste does not leak into the
//! shell, and whatever happens, the terminal is as it was.
//!
//! The verb runs in a child of its own: this test binary again, told by [`LEFT`] to be a verb.

use std::io::{Read, Write};
use std::time::Duration;

use breakglass::protocol::{Command, SignInAsk};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::watch;

use crate::cli_people::{identity, signed_in};
use crate::cli_support::{World, engine};

/// Where the verb says what the engine has heard, and how it ended.
const LEFT: &str = "BREAKGLASS_TEST_PROMPT";
/// The command line of the verb.
const LINE: &str = "BREAKGLASS_TEST_PROMPT_LINE";
const LIMIT: Duration = Duration::from_secs(30);
const VERB: [&str; 4] = ["--exact", "cli_prompt::a_verb_if_told_so", "--nocapture", "--quiet"];

/// Is `breakglass login` where it is told to be; else passes at once.
#[test]
#[expect(clippy::disallowed_methods, reason = "the parent of this process says what it is")]
fn a_verb_if_told_so() {
    let Some(path) = std::env::var_os(LEFT) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let ran = runtime.block_on(async {
        let lets_in = engine(|world: &mut World, command| match command {
            Command::SignIn(SignInAsk::Password { .. }) => Ok(signed_in()),
            other => world.usual(other),
        });
        let lets_in = lets_in.world(|world| world.identity = identity()).at_this_terminal();
        let line = std::env::var(LINE).unwrap();
        lets_in.run(&line.split(' ').collect::<Vec<_>>()).await
    });
    let heard = ran.heard.iter().find_map(|command| match command {
        Command::SignIn(SignInAsk::Password { password, .. }) => Some(password.expose().to_owned()),
        _ => None,
    });
    std::fs::write(path, format!("exit {}, heard {heard:?}\n{}", ran.code, ran.stderr())).unwrap();
    runtime.shutdown_background();
}

/// A pseudo-terminal with a shell in it that runs the verb, and then shows what else is typed.
struct Pty {
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    output: watch::Receiver<Vec<u8>>,
    left: tempfile::TempDir,
}

impl Pty {
    fn start(line: &str) -> Self {
        let pair = native_pty_system().openpty(PtySize::default()).unwrap();
        let left = tempfile::tempdir().unwrap();
        let verb = format!("{} {}", std::env::current_exe().unwrap().display(), VERB.join(" "));
        let mut command = CommandBuilder::new("sh");
        command.args(["-c", "trap : INT TERM; $VERB; echo behind; read line; echo \"got:$line\""]);
        command.env("VERB", verb);
        command.env(LINE, line);
        command.env(LEFT, left.path().join("left"));
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().unwrap();
        let (tell, output) = watch::channel(vec![]);
        std::thread::spawn(move || {
            let mut buffer = [0; 4_096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                tell.send_modify(|all| all.extend_from_slice(&buffer[..count]));
            }
        });
        let keys = pair.master.take_writer().unwrap();
        Self { master: pair.master, keys, child, output, left }
    }

    /// Waits for the question, and answers.
    async fn answers(text: &str) -> Self {
        let mut pty = Self::start("login --email ana@example.com");
        pty.writes("Password: ").await;
        pty.types(text);
        pty
    }

    fn types(&mut self, text: &str) {
        self.keys.write_all(text.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    async fn writes(&self, text: &str) {
        let mut output = self.output.clone();
        let there = |all: &Vec<u8>| all.windows(text.len()).any(|part| part == text.as_bytes());
        let found = tokio::time::timeout(LIMIT, output.wait_for(there)).await;
        assert!(matches!(found, Ok(Ok(_))), "waited for {text:?} in vain: {}", self.shown());
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.output.borrow()).escape_debug().to_string()
    }

    /// Sends a signal to the verb, the child of the shell.
    fn signal(&self, signal: Signal) {
        let shell = self.child.process_id().unwrap();
        let children = format!("/proc/{shell}/task/{shell}/children");
        let children = std::fs::read_to_string(children).unwrap();
        let verb: i32 = children.split_whitespace().next().unwrap().parse().unwrap();
        kill_process(Pid::from_raw(verb).unwrap(), signal).unwrap();
    }

    /// Waits until the shell reads again, fails unless the terminal is as it was and nothing was
    /// left for the shell, and returns how the verb says it has ended.
    async fn ends(&mut self) -> String {
        self.writes("behind").await;
        let termios = format!("{:?}", self.master.get_termios().unwrap());
        let modes = ["ECHO", "ICANON", "ISIG"];
        assert!(modes.iter().all(|mode| termios.contains(mode)), "not set back: {termios}");
        self.types("next\n");
        self.writes("got:next").await;
        let on = self.shown().rfind("?2004h").unwrap();
        assert!(self.shown().rfind("?2004l").unwrap() > on, "{}", self.shown());
        self.child.wait().unwrap();
        std::fs::read_to_string(self.left.path().join("left")).unwrap().trim_end().to_owned()
    }
}

#[tokio::test]
async fn a_password_is_taken_and_never_shown() {
    let mut pty =
        Pty::answers("correct horse buttery\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}attery\r").await;
    assert_eq!(pty.ends().await, "exit 0, heard Some(\"correct horse battery\")");
    assert!(!pty.shown().contains("horse"), "{}", pty.shown());
    assert!(pty.shown().contains("****"), "{}", pty.shown());
}

#[tokio::test]
async fn one_question_follows_another_and_what_is_no_secret_is_shown() {
    let mut pty = Pty::start("login");
    pty.writes("E-mail: ").await;
    pty.types("ama");
    pty.writes("ama").await;
    pty.types("\u{7f}\u{7f}na@example.com\r");
    pty.writes("ama\u{8} \u{8}\u{8} \u{8}na@example.com").await;
    pty.writes("Password: ").await;
    pty.types("correct horse battery\r");
    assert_eq!(pty.ends().await, "exit 0, heard Some(\"correct horse battery\")");
}

#[tokio::test]
async fn every_way_out_sets_the_terminal_back() {
    let mut pty = Pty::answers("half\u{3}").await;
    assert_eq!(pty.ends().await, "exit 130, heard None");
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let mut pty = Pty::answers("half").await;
        pty.writes("****").await;
        pty.signal(signal);
        assert_eq!(pty.ends().await, format!("exit {code}, heard None"), "{signal:?}");
    }
    let mut pty = Pty::answers("\u{4}").await;
    assert_eq!(pty.ends().await, "exit 2, heard None\nusage: nothing was typed");
}

#[tokio::test]
async fn a_paste_with_a_line_break_neither_submits_nor_leaks() {
    let refused = "exit 2, heard None\n\
                   usage: what was pasted has more than one line; nothing of it was taken";
    let mut unmarked = Pty::answers("half of it\rrm -rf .\r").await;
    assert_eq!(unmarked.ends().await, refused);
    let mut marked = Pty::answers("\u{1b}[200~half of it\rrm -rf .\u{1b}[201~\r").await;
    assert_eq!(marked.ends().await, refused);
    for pty in [unmarked, marked] {
        assert!(!pty.shown().contains("rm -rf"), "{}", pty.shown());
    }
    let mut whole = Pty::answers("\u{1b}[200~correct horse battery\r\u{1b}[201~").await;
    whole.writes("****").await;
    whole.types("\r");
    assert_eq!(whole.ends().await, "exit 0, heard Some(\"correct horse battery\")");
}
