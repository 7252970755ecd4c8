//! What waiting does to who guesses, and that it does nothing to anybody else.

use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_763_655_000_000);

fn email(name: &str) -> Email {
    format!("{name}@example.com").parse().unwrap()
}

fn user(uid: u32) -> Source {
    Source::new(uid, None)
}

fn from(uid: u32, address: &str) -> Source {
    Source::new(uid, Some(address.parse().unwrap()))
}

/// Fails once as soon as it may, and says how long that took.
fn fail(lockouts: &mut Lockouts, source: Source, address: &Email, now: &mut Timestamp) -> Span {
    let waited = lockouts.wait(source, address, *now).unwrap_or(Span::ZERO);
    *now = *now + waited;
    let (_, changes) = lockouts.reserve(source, address, *now).unwrap();
    assert!(!changes.is_empty());
    waited
}

#[test]
fn the_first_failures_cost_nothing_the_next_more_and_more() {
    let (mut lockouts, mut now) = (Lockouts::default(), NOW);
    let waits: Vec<_> = (0..104)
        .map(|_| fail(&mut lockouts, user(1000), &email("ana"), &mut now).to_string())
        .collect();
    insta::assert_snapshot!(waits[..16].join(" "), @"0s 0s 0s 0s 1s 2s 4s 8s 16s 32s 1m4s 2m8s 4m16s 8m32s 15m 15m");
    assert!(waits[14..100].iter().all(|wait| wait == "15m"), "{waits:?}");
    assert!(waits[100..].iter().all(|wait| wait == "1h"), "{waits:?}");
}

#[test]
fn a_try_too_early_is_told_how_long_and_counts_for_nothing() {
    let (mut lockouts, mut now) = (Lockouts::default(), NOW);
    for _ in 0..6 {
        fail(&mut lockouts, user(1000), &email("ana"), &mut now);
    }
    let before = lockouts.clone();
    let early = now + Span::from_seconds(1);
    assert_eq!(lockouts.reserve(user(1000), &email("ana"), early), Err(Span::from_seconds(3)));
    assert_eq!(lockouts, before);
    assert!(lockouts.reserve(user(1000), &email("ana"), now + Span::from_seconds(4)).is_ok());
}

#[test]
fn fifty_at_once_meet_one_count() {
    let mut lockouts = Lockouts::default();
    let made =
        (0..50).filter_map(|_| lockouts.reserve(user(1000), &email("ana"), NOW).ok()).count();
    assert_eq!(made, 4);
}

#[test]
fn a_success_ends_the_count_and_a_crash_does_not() {
    let mut lockouts = Lockouts::default();
    let mut kept = BTreeMap::new();
    let mut keep = |changes: &[Change]| {
        for change in changes {
            match change.throttle {
                Some(throttle) => kept.insert(change.key.to_string(), throttle),
                None => kept.remove(&change.key.to_string()),
            };
        }
        kept.clone()
    };
    let restore = |kept: BTreeMap<String, Throttle>, now| {
        Lockouts::restore(kept.into_iter().map(|(key, it)| (key.parse().unwrap(), it)), now)
    };
    let (_, first) = lockouts.reserve(user(1000), &email("ana"), NOW).unwrap();
    keep(&first);
    let (right, second) = lockouts.reserve(user(1000), &email("ana"), NOW).unwrap();
    // Killed between the two: both are counted.
    assert_eq!(restore(keep(&second), NOW), lockouts);
    assert_eq!(lockouts.len(), 1);
    let change = lockouts.succeeded(right);
    assert_eq!(restore(keep(&[change]), NOW), Lockouts::default());
    assert!(lockouts.is_empty());
}

#[test]
fn a_clock_that_was_set_back_makes_nobody_wait_longer_than_the_longest() {
    let key: Key = "1000/-/*".parse().unwrap();
    let kept = Throttle { failures: 100, last_failure_at: NOW + Span::from_hours(10_000) };
    let lockouts = Lockouts::restore([(key.clone(), kept)], NOW);
    assert_eq!(lockouts.count(&key).unwrap().wait(NOW), Some(Span::from_hours(1)));
    assert_eq!(lockouts.count(&key).unwrap().wait(NOW + Span::from_hours(1)), None);
}

#[test]
fn one_who_types_many_addresses_shares_one_count_for_the_rest() {
    let (mut lockouts, mut now) = (Lockouts::default(), NOW);
    let (source, target) = (user(1000), email("target"));
    for _ in 0..12 {
        fail(&mut lockouts, source, &target, &mut now);
    }
    let wait = lockouts.wait(source, &target, now);
    assert_eq!(wait, Some(Span::from_seconds(256)));
    let tries = (0..10_000).map(|at| lockouts.reserve(source, &email(&format!("x{at}")), now));
    assert_eq!(tries.filter(Result::is_ok).count(), PAIRS_MAX - 1 + 4);
    assert_eq!(lockouts.len(), PAIRS_MAX + 1);
    // The flood has not made the count of the target go.
    assert_eq!(lockouts.wait(source, &target, now), wait);
    // Nor has it touched anybody who comes from elsewhere.
    assert_eq!(lockouts.wait(from(1000, "192.0.2.7"), &email("x9999"), now), None);
}

#[test]
fn a_right_password_does_not_free_what_is_shared() {
    let mut lockouts = Lockouts::default();
    let source = user(1000);
    for at in 0..PAIRS_MAX {
        let _ = lockouts.reserve(source, &email(&format!("x{at}")), NOW).unwrap();
    }
    let mut now = NOW;
    for _ in 0..8 {
        fail(&mut lockouts, source, &email("guessed"), &mut now);
    }
    now = now + lockouts.wait(source, &email("own"), now).unwrap();
    let (right, _) = lockouts.reserve(source, &email("own"), now).unwrap();
    let change = lockouts.succeeded(right);
    assert_eq!(change.throttle.unwrap().failures, 8);
    assert_eq!(change.key.to_string(), "1000/-/*");
    assert_eq!(lockouts.wait(source, &email("guessed"), now), Some(Span::from_seconds(16)));
}

#[test]
fn a_day_without_a_try_makes_room() {
    let mut lockouts = Lockouts::default();
    let source = user(1000);
    for at in 0..PAIRS_MAX {
        let now = NOW + Span::from_seconds(u64::try_from(at).unwrap());
        let _ = lockouts.reserve(source, &email(&format!("x{at}")), now).unwrap();
    }
    let (_, changes) = lockouts.reserve(source, &email("new"), NOW + IDLE).unwrap();
    let gone = Key { source, account: Some(digest(&email("x0"))) };
    assert_eq!(changes[0], Change { key: gone, throttle: None });
    assert_eq!(lockouts.len(), PAIRS_MAX);
}

#[test]
fn sources_are_bounded_and_a_unix_user_always_has_a_place() {
    let mut lockouts = Lockouts::default();
    let address = |at: u32| IpAddr::from(at.to_be_bytes());
    for at in 0..20_000 {
        let _ = lockouts.reserve(Source::new(666, Some(address(at))), &email("ana"), NOW);
    }
    assert_eq!(lockouts.sources.len(), SOURCES_MAX + 1);
    let wait = |source, who: &str| lockouts.wait(source, &email(who), NOW);
    assert!(wait(Source::new(666, Some(address(20_001))), "ana").is_some());
    assert_eq!(wait(from(1000, "192.0.2.7"), "ana"), None);
    assert_eq!(wait(user(1000), "ana"), None);
    let later = NOW + IDLE;
    let (_, changes) =
        lockouts.reserve(Source::new(666, Some(address(30_000))), &email("ana"), later).unwrap();
    assert_eq!(changes.len(), 2);
    assert_eq!(lockouts.sources.len(), SOURCES_MAX + 1);
}

#[test]
fn whoever_has_one_address_of_a_network_has_all_of_them() {
    assert_eq!(from(1, "2001:db8:1:2::3"), from(1, "2001:db8:1:2:ffff::9"));
    assert_ne!(from(1, "2001:db8:1:2::3"), from(1, "2001:db8:1:3::3"));
    assert_eq!(from(1, "::ffff:192.0.2.7"), from(1, "192.0.2.7"));
    assert_ne!(from(1, "192.0.2.7"), from(1, "192.0.2.8"));
    assert_ne!(from(1, "192.0.2.7"), from(2, "192.0.2.7"));
}

#[test]
fn a_key_reads_back_and_holds_no_address_that_was_typed() {
    let mut lockouts = Lockouts::default();
    let source = from(1000, "2001:db8::7");
    let (_, changes) = lockouts.reserve(source, &email("ana"), NOW).unwrap();
    let text = changes[0].key.to_string();
    insta::assert_snapshot!(text, @"1000/2001:db8::/8e43ca37701228e74983efdbd0cff5c1");
    assert_eq!(text.parse(), Ok(changes[0].key.clone()));
    for text in [
        "",
        "1000",
        "1000/-",
        "x/-/*",
        "1/x/*",
        "1/-/",
        "1/-/+1234567890123456789012345678901",
        "1/-/é",
    ] {
        assert_eq!(text.parse::<Key>(), Err(KeyError), "{text}");
    }
}

#[derive(Clone, Debug)]
struct Try {
    source: usize,
    address: usize,
    right: bool,
    later: u64,
}

fn tries() -> impl Strategy<Value = Vec<Try>> {
    let one = (1_usize..4, 0_usize..90, prop::bool::weighted(0.1), 0_u64..2_000)
        .prop_map(|(source, address, right, later)| Try { source, address, right, later });
    prop::collection::vec(one, 0..400)
}

fn play(lockouts: &mut Lockouts, tries: &[Try], mut now: Timestamp) -> Timestamp {
    let sources = [user(1000), user(1001), from(1000, "192.0.2.7"), from(1000, "2001:db8::7")];
    for it in tries {
        now = now + Span::from_seconds(it.later);
        let address = email(&format!("x{}", it.address));
        if let Ok((reservation, _)) = lockouts.reserve(sources[it.source], &address, now)
            && it.right
        {
            let _ = lockouts.succeeded(reservation);
        }
    }
    now
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn nobody_can_make_another_source_wait(tries in tries()) {
        // All others do their worst, to the very address of this one too.
        let mut lockouts = Lockouts::default();
        let now = play(&mut lockouts, &tries, NOW);
        for at in 0..90 {
            prop_assert_eq!(lockouts.wait(user(1000), &email(&format!("x{at}")), now), None);
        }
    }

    #[test]
    fn nobody_can_make_another_source_wait_less(tries in tries()) {
        let (mut lockouts, mut now) = (Lockouts::default(), NOW);
        for _ in 0..20 {
            fail(&mut lockouts, user(1000), &email("x1"), &mut now);
        }
        let own = lockouts.count(&Key { source: user(1000), account: Some(digest(&email("x1"))) }).copied();
        play(&mut lockouts, &tries, now);
        let then = lockouts.count(&Key { source: user(1000), account: Some(digest(&email("x1"))) }).copied();
        prop_assert_eq!(own, then);
    }

    #[test]
    fn what_was_kept_is_what_there_is(tries in tries()) {
        let mut lockouts = Lockouts::default();
        let now = play(&mut lockouts, &tries, NOW);
        let all = lockouts.sources.iter().flat_map(|(source, counts)| {
            let pairs = counts.pairs.iter().map(|(account, it)| (Some(*account), *it));
            pairs
                .chain(counts.shared.map(|it| (None, it)))
                .map(|(account, it)| (Key { source: *source, account }.to_string(), it))
        });
        let kept: Vec<_> = all.collect();
        let read = kept.iter().map(|(key, throttle)| {
            let json = serde_json::to_string(throttle).unwrap();
            (key.parse().unwrap(), serde_json::from_str(&json).unwrap())
        });
        prop_assert_eq!(Lockouts::restore(read, now), lockouts);
    }

    #[test]
    fn in_an_hour_one_source_makes_few_tries_at_one_account(
        gaps in prop::collection::vec(0_u64..60, 0..600),
        others in prop::collection::vec(0_usize..500, 0..600),
    ) {
        let (mut lockouts, mut now, mut made) = (Lockouts::default(), NOW, 0);
        for (gap, other) in gaps.iter().zip(&others) {
            now = now + Span::from_seconds(*gap);
            if now.since(NOW) >= Span::from_hours(1) {
                break;
            }
            made += usize::from(lockouts.reserve(user(1000), &email("ana"), now).is_ok());
            let _ = lockouts.reserve(user(1000), &email(&format!("x{other}")), now);
        }
        // In a pair of its own: 4 at once, 10 until 1,023 s, then one every 900 s. Through what is
        // shared as many again.
        prop_assert!(made <= 17 * 2, "{made}");
    }
}
