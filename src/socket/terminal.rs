//! Which terminal a process belongs to, as the kernel says.

/// Returns the terminal of a process: `pts/3`, `tty1`; nothing where it has none, or is gone.
pub(super) fn terminal_of(pid: i32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    terminal_in(&stat)
}

/// Finds the terminal in a line of proc_pid_stat(5).
///
/// The name of a program stands in parentheses and may hold anything, parentheses too; what follows
/// the last one is state, parent, group, session and the device number of the terminal.
fn terminal_in(stat: &str) -> Option<String> {
    let (_, after) = stat.rsplit_once(')')?;
    let device: u32 = after.split_whitespace().nth(4)?.parse().ok()?;
    let (major, minor) = (device >> 8 & 0xfff, device & 0xff | device >> 12 & 0xfff00);
    match major {
        4 => Some(format!("tty{minor}")),
        // Unix98 pseudo-terminals have eight majors (devices.txt of the Linux kernel).
        136..=143 => Some(format!("pts/{}", (major - 136) * 256 + minor)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_names_the_terminal() {
        for (stat, terminal) in [
            ("77 (sh) S 1 77 77 34819 78 4194304", Some("pts/3")),
            ("77 (a ) b) S 1 77 77 1025 78 4194304", Some("tty1")),
            ("77 (engine) S 1 77 77 0 -1 4194304", None),
            ("77 (sh", None),
            ("", None),
        ] {
            assert_eq!(terminal_in(stat).as_deref(), terminal, "{stat}");
        }
    }

    #[test]
    fn a_process_that_is_gone_has_none() {
        assert_eq!(terminal_of(i32::MAX), None);
    }
}
