//! Files and directories that others could have written are refused.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use breakglass::config::{Config, ConfigError, FILE_BYTES_MAX, private_dir};

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        chmod(dir.path(), 0o700);
        Self(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        chmod(&path, 0o600);
        path
    }

    fn dir(&self, name: &str, mode: u32) -> PathBuf {
        let path = self.path(name);
        fs::create_dir(&path).unwrap();
        chmod(&path, mode);
        path
    }

    /// The report with the name of the temporary directory taken out.
    fn words(&self, error: &ConfigError) -> String {
        let text = error.report().to_string();
        let text = text.replace(&self.0.path().display().to_string(), "~");
        text.replace(&format!("uid {}", uid()), "uid ME")
    }

    fn load(&self, path: &Path) -> String {
        Config::load(path, uid()).map_or_else(|error| self.words(&error), |_| "loaded".to_owned())
    }
}

fn uid() -> u32 {
    rustix::process::getuid().as_raw()
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn no_file_is_the_same_as_an_empty_one() {
    let home = Home::new();
    let none = Config::load(&home.path("none/config.toml"), uid()).unwrap();
    assert_eq!(none, Config::load(&home.file("config.toml", ""), uid()).unwrap());
    let ids: Vec<_> = none.providers.iter().map(|provider| provider.id.as_str()).collect();
    assert_eq!(ids, ["direct"]);
    assert!(none.catalogue.targets.is_empty());
}

#[test]
fn a_file_that_others_may_write_is_refused() {
    let home = Home::new();
    let path = home.file("config.toml", "");
    for mode in [0o620, 0o602, 0o666] {
        chmod(&path, mode);
        assert!(home.load(&path).contains("may be written by others"), "{mode:o}");
    }
    insta::assert_snapshot!(home.load(&path), @r"
        config: `~/config.toml` may be written by others (mode 0666)
          hint: check what it says, then: chmod go-w ~/config.toml
    ");
    chmod(&path, 0o644);
    assert_eq!(home.load(&path), "loaded", "it holds no secret, so others may read it");
}

#[test]
fn a_directory_that_others_may_write_is_refused() {
    let home = Home::new();
    let dir = home.dir("shared", 0o777);
    let path = home.file("shared/config.toml", "");
    insta::assert_snapshot!(home.load(&path), @r"
        config: `~/shared` may be written by others (mode 0777)
          hint: check what it says, then: chmod go-w ~/shared
    ");
    chmod(&dir, 0o1777);
    assert!(home.load(&path).contains("mode 1777"), "sticky or not");
}

#[test]
fn a_link_is_followed_and_both_ends_are_checked() {
    let home = Home::new();
    home.dir("dotfiles", 0o755);
    let real = home.file("dotfiles/config.toml", "[ui]\nmouse = true\n");
    let link = home.path("config.toml");
    symlink(&real, &link).unwrap();
    assert_eq!(home.load(&link), "loaded");
    chmod(&home.path("dotfiles"), 0o777);
    assert!(home.load(&link).contains("dotfiles` may be written by others"));
    fs::remove_file(&real).unwrap();
    chmod(&home.path("dotfiles"), 0o755);
    insta::assert_snapshot!(home.load(&link), @r"
        config: cannot read `~/config.toml`
          because: No such file or directory (os error 2)
          hint: ls -ld ~/config.toml
    ");
}

#[test]
fn a_file_of_somebody_else_is_refused() {
    let home = Home::new();
    let path = home.file("config.toml", "");
    if uid() != 0 {
        return; // Only root can give a file away.
    }
    std::os::unix::fs::chown(&path, Some(4_242), None).unwrap();
    insta::assert_snapshot!(home.load(&path), @r"
        config: `~/config.toml` belongs to uid 4242, not to you (uid ME)
          hint: log in as its owner, or name another place: ls -ld ~/config.toml
    ");
}

#[test]
fn what_is_no_file_is_refused_at_once() {
    let home = Home::new();
    let fifo = home.path("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR).unwrap();
    let (done, waited) = mpsc::channel();
    let shown = std::thread::spawn({
        let path = fifo.clone();
        move || done.send(Config::load(&path, uid()).unwrap_err().to_string())
    });
    let message = waited.recv_timeout(Duration::from_secs(60)).expect("it waits for a writer");
    shown.join().unwrap().unwrap();
    assert!(message.ends_with("fifo` is not a regular file"), "{message}");
    assert!(home.load(home.0.path()).contains("is not a regular file"));
    assert!(home.load(Path::new("/dev/null")).contains("`/dev/null` is not a regular file"));
    let socket = home.path("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    assert!(home.load(&socket).contains("is not a regular file"));
}

#[test]
fn a_file_without_end_is_refused_before_it_is_read() {
    let home = Home::new();
    let path = home.file("config.toml", "");
    fs::File::options().write(true).open(&path).unwrap().set_len(FILE_BYTES_MAX + 1).unwrap();
    insta::assert_snapshot!(home.load(&path), @r"
        config: `~/config.toml` has 16777217 bytes; a configuration has at most 16 MiB
          hint: is this the right file? ls -l ~/config.toml
    ");
}

#[test]
fn what_is_no_text_is_refused_with_its_line() {
    let home = Home::new();
    let path = home.file("config.toml", "");
    fs::write(&path, b"[ui]\nmouse = true\n# caf\xe9\n").unwrap();
    insta::assert_snapshot!(home.load(&path), @r"
        config: ~/config.toml:3: not UTF-8 text
          hint: save the file as UTF-8
    ");
}

#[test]
fn private_directories_are_private_whatever_was_there() {
    let home = Home::new();
    let deep = home.path("a/b/c");
    private_dir(&deep, uid()).unwrap();
    for dir in ["a", "a/b", "a/b/c"] {
        assert_eq!(mode(&home.path(dir)), 0o700, "{dir}");
    }
    chmod(&deep, 0o755);
    private_dir(&deep, uid()).unwrap();
    assert_eq!(mode(&deep), 0o700, "others could only look, so it is closed");

    let refused = |path: &Path| home.words(&private_dir(path, uid()).unwrap_err());
    let open = home.dir("open", 0o777);
    let link = home.path("link");
    symlink(&deep, &link).unwrap();
    let file = home.file("file", "");
    let all = [refused(&open), refused(&link), refused(&file), refused(&file.join("below"))];
    insta::assert_snapshot!(all.join("\n\n"), @r"
        config: `~/open` may be written by others (mode 0777)
          hint: check what it says, then: chmod go-w ~/open

        config: `~/link` is not a directory
          hint: move it away and start again: ls -ld ~/link

        config: `~/file` is not a directory
          hint: move it away and start again: ls -ld ~/file

        unavailable: cannot write `~/file/below`
          because: Not a directory (os error 20)
          hint: ls -ld ~/file/below
    ");
    if uid() == 0 {
        let foreign = home.dir("foreign", 0o700);
        std::os::unix::fs::chown(&foreign, Some(4_242), None).unwrap();
        insta::assert_snapshot!(refused(&foreign), @r"
            config: `~/foreign` belongs to uid 4242, not to you (uid ME)
              hint: log in as its owner, or name another place: ls -ld ~/foreign
        ");
    }
}
