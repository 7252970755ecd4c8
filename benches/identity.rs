//! What deciding costs at 10,000 operators, and whether the time of a sign-in tells anything.
//!
//! The last table is what an outsider could measure: an address that nobody has, a wrong password,
//! and a right one that is not listed. They take turns, so that all meet the same machine. Run it
//! with `cargo bench --bench identity`.

#![expect(clippy::print_stdout, reason = "a table on stdout is what this program is for")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use breakglass::domain::account::{Account, AccountId};
use breakglass::domain::break_glass_user::{BreakGlassList, Listing};
use breakglass::domain::email::Email;
use breakglass::domain::id::IdpId;
use breakglass::domain::identity_provider::{BreakGlassMode, IdpHealth, IdpKind, IdpSettings};
use breakglass::domain::role::Role;
use breakglass::domain::secret::Secret;
use breakglass::domain::time::Timestamp;
use breakglass::identity::directory::Directory;
use breakglass::identity::directory::operators::InviteRandom;
use breakglass::identity::hashing::{HashParameters, Hasher};
use breakglass::identity::lockout::{Lockouts, Source};
use breakglass::identity::login::Verdict;
use breakglass::identity::password::Password;

type Outcome<T> = Result<T, Box<dyn Error>>;

const NOW: Timestamp = Timestamp::from_millis(1_763_655_000_000);
const MANY: u32 = 10_000;
const ROUNDS: usize = 2_000;
const TRIES: usize = 300;
const RIGHT: &str = "correct horse battery staple";

fn main() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().build()?;
    let hasher = Hasher::new(HashParameters::default());
    let hash = runtime.block_on(hasher.hash(typed(RIGHT)?, [7; 16]))?;
    let mut directory = Directory::new([], [], vec![idp("entra")?, idp("okta")?]);
    for number in 0..MANY {
        directory.put_account(Account {
            id: AccountId::new(NOW, random(number)),
            email: email(number)?,
            role: if number == 0 { Role::Owner } else { Role::Member },
            member: true,
            password: Some(hash.clone()),
            binding: None,
            code: None,
            created_at: NOW,
        });
    }
    for (idp, listed) in [("entra", 0..5), ("okta", 3..8)] {
        let listing = |number| Listing {
            account: AccountId::new(NOW, random(number)),
            added_at: NOW,
            proven_at: None,
        };
        let list = BreakGlassList::new(idp.parse()?);
        directory.put_list(BreakGlassList {
            enforced: true,
            listed: listed.map(listing).collect(),
            ..list
        });
    }
    deciding(&directory)?;
    runtime.block_on(signing_in(&directory, &hasher))
}

/// Everything that holds up a frame.
fn deciding(directory: &Directory) -> Outcome<()> {
    println!("{MANY} operators, two identity providers that enforce SSO");
    println!("{:<34} {:>12} {:>12}", "", "p50", "p99");
    let (known, unknown) = (email(4)?, "nobody@example.com".parse()?);
    let healthy = |_: &IdpId| IdpHealth::Healthy;
    row("rule, listed", || directory.decide(&known, healthy, true));
    row("rule, unknown address", || directory.decide(&unknown, healthy, false));
    row("list all", || directory.accounts().count());
    row("filter", || directory.holding("user99").count());
    row("filter, nobody", || directory.holding("zzz").count());
    let random = InviteRandom { id: [9; 10], code: [9; 13] };
    row("invite", || directory.invite(unknown.clone(), Role::Member, NOW, random));
    let (entra, add, last) = ("entra".parse()?, [email(9)?], [email(0)?]);
    row("change a list", || directory.change_list(&entra, &add, &last, false, NOW));
    let owner = AccountId::new(NOW, self::random(0));
    row("remove the last Owner", || directory.remove(owner, false));
    row("forecast", || directory.forecast(&entra, NOW));
    let mut copy = directory.clone();
    let account = directory.by_email(&known).ok_or("no such account")?.clone();
    row("put an account", || copy.put_account(account.clone()));
    let mut lockouts = Lockouts::default();
    let mut at = 0;
    row("reserve a try", || {
        at += 1;
        let reserved = lockouts.reserve(Source::new(at, None), &known, NOW);
        reserved.map(|(_, changes)| changes.len())
    });
    let (long, address) = (Secret::new("word ".repeat(200)), email(4)?);
    row("judge a password of 1,000 bytes", || Password::chosen(&long, &address));
    Ok(())
}

/// What an outsider could measure.
async fn signing_in(directory: &Directory, hasher: &Hasher) -> Outcome<()> {
    println!("\n{:<34} {:>12} {:>12} {:>12}", "sign-in", "p5", "p50", "p95");
    let listed = email(4)?;
    let kinds = [
        ("unknown address", "nobody@example.com".parse()?, RIGHT),
        ("listed, wrong password", listed.clone(), "wrong horse battery staple"),
        ("not listed, right password", email(5_000)?, RIGHT),
        ("listed, right password", listed, RIGHT),
    ];
    let mut times = kinds.each_ref().map(|_| vec![]);
    let mut read = kinds.each_ref().map(|_| String::new());
    for _ in 0..TRIES {
        for (((_, address, password), times), read) in kinds.iter().zip(&mut times).zip(&mut read) {
            let start = Instant::now();
            *read = sign_in(directory, hasher, address, password).await?;
            times.push(start.elapsed());
        }
    }
    for (((name, ..), times), read) in kinds.iter().zip(&mut times).zip(&read) {
        times.sort_unstable();
        let at = |of: usize| millis(times.get(times.len() * of / 100));
        println!("{name:<34} {:>12} {:>12} {:>12}  {read}", at(5), at(50), at(95));
    }
    Ok(())
}

async fn sign_in(
    directory: &Directory,
    hasher: &Hasher,
    address: &Email,
    password: &str,
) -> Outcome<String> {
    let hash = directory.by_email(address).and_then(|account| account.password.clone());
    let compared = hasher.compare(hash, typed(password)?).await?;
    let verdict = directory.decide(address, |_| IdpHealth::Healthy, compared.right);
    Ok(match verdict {
        Verdict::Admitted { .. } => "admitted".to_owned(),
        Verdict::Refused { said, .. } => said,
    })
}

fn row<T>(name: &str, mut work: impl FnMut() -> T) {
    let mut times: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            black_box(work());
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    let at = |of: usize| micros(times.get(times.len() * of / 100));
    println!("{name:<34} {:>12} {:>12}", at(50), at(99));
}

fn micros(time: Option<&Duration>) -> String {
    time.map_or_else(String::new, |time| format!("{:.2} us", time.as_secs_f64() * 1e6))
}

fn millis(time: Option<&Duration>) -> String {
    time.map_or_else(String::new, |time| format!("{:.2} ms", time.as_secs_f64() * 1e3))
}

fn typed(text: &str) -> Outcome<Password> {
    Ok(Password::typed(&Secret::new(text))?)
}

fn email(number: u32) -> Outcome<Email> {
    Ok(format!("user{number}@example.com").parse()?)
}

fn random(number: u32) -> [u8; 10] {
    let mut random = [0; 10];
    for (into, byte) in random.iter_mut().zip(number.to_be_bytes()) {
        *into = byte;
    }
    random
}

fn idp(name: &str) -> Outcome<IdpSettings> {
    Ok(IdpSettings {
        id: name.parse()?,
        kind: IdpKind::Oidc { issuer: format!("https://{name}.example.com") },
        client_id: "breakglass".to_owned(),
        has_secret: false,
        scopes: vec![],
        domains: vec!["example.com".to_owned()],
        break_glass: BreakGlassMode::Always,
    })
}
