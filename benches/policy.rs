//! What an edit of a tailnet's policy file costs at 1 MB, and that it leaves the other bytes alone.
//!
//! Run it with `cargo bench --bench policy`.
#![expect(clippy::print_stdout, reason = "a table on stdout is what this program is for")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

use std::error::Error;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use breakglass::provider::tailscale::policy::{PolicyFault, Reverted, Wanted, diff, edit, revert};

const BYTES: usize = 1_000_000;
const ROUNDS: usize = 51;
/// How long an edit or a revert may take.
const LIMIT: Duration = Duration::from_millis(50);

fn main() -> Result<(), Box<dyn Error>> {
    let before = policy()?;
    let wanted = Wanted {
        operator_tag: "tag:bg-operator".into(),
        router_tag: "tag:bg-router".into(),
        owners: vec!["group:sre".into()],
        target: "10.20.30.40:5432".parse()?,
        route: Some("10.20.30.40/32".into()),
    };
    let edited = edit(&before, &wanted)?;
    println!("a policy file of {} bytes, {ROUNDS} rounds, medians", before.len());
    report("edit", || edit(&before, &wanted).map(drop))?;
    report("revert", || revert(&edited.text, &edited.added).map(drop))?;
    report("diff", || {
        std::hint::black_box(diff(&before, &edited.text));
        Ok(())
    })?;
    let same = revert(&edited.text, &edited.added)?
        == Reverted::Text { text: before.clone(), kept: vec![] };
    println!("bytes after edit and revert   {}", if same { "identical" } else { "DIFFERENT" });
    let kept =
        before.lines().filter(|line| line.contains("rule ")).all(|line| edited.text.contains(line));
    println!("lines of others in the edit   {}", if kept { "identical" } else { "DIFFERENT" });
    if same && kept { Ok(()) } else { Err("bytes of others were changed".into()) }
}

fn report(what: &str, run: impl Fn() -> Result<(), PolicyFault>) -> Result<(), PolicyFault> {
    let mut times = vec![];
    for _ in 0..ROUNDS {
        let start = Instant::now();
        run()?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    let over = if median > LIMIT { "  over the limit of 50 ms" } else { "" };
    println!("{what:<8} {:>9.2} ms{over}", median.as_secs_f64() * 1e3);
    Ok(())
}

/// A file as large tailnets have it: many rules, a comment at each.
fn policy() -> Result<String, std::fmt::Error> {
    let mut text = String::from("// Acme\n{\n\t\"tagOwners\": {\n");
    for tag in 0..500 {
        writeln!(
            text,
            "\t\t\"tag:service-{tag}\": [\"group:team-{tag}\"], // owner of rule {tag}"
        )?;
    }
    text.push_str("\t},\n\t\"grants\": [\n");
    for rule in 0.. {
        if text.len() >= BYTES {
            break;
        }
        writeln!(text, "\t\t// rule {rule}")?;
        writeln!(
            text,
            "\t\t{{\"src\": [\"group:team-{rule}\"], \"dst\": [\"tag:service-{rule}\"], \"ip\": [\"tcp:443\"]}},"
        )?;
    }
    text.push_str("\t],\n}\n");
    Ok(text)
}
