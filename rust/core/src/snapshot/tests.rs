//! Snapshots restore the very state: nothing is lost, nothing of a damaged file is accepted.

use proptest::prelude::*;

use super::{FORMAT, SnapshotError};
use crate::engine::Engine;
use crate::snapshot::blocks::BLOCK_BYTES_MAX;
use crate::snapshot::tables::TABLES;

mod histories;

use histories::{Process, Random, step};

/// All channels of these histories publish.
const PUBLISHING: &str = r#"{"kind":"channel","channel":"web","locations":["paris","lyon"],"supply_horizon_days":5,"buffer":1},
{"kind":"channel","channel":"shop","locations":["paris"],"buffer":0},
{"kind":"channel","channel":"market","locations":"*","draws_shared":false,"buffer":2}"#;

fn restored(bytes: &[u8]) -> Result<Engine, SnapshotError> {
    Engine::restore("main", None, &mut &bytes[..])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_restored_engine_goes_on_as_the_one_that_was_written(seed: u64, steps in 0u64..120, more in 1u64..60) {
        let mut node = Process::play(seed, steps);
        let bytes = node.snapshot();
        let mut other = Process { engine: restored(&bytes).unwrap(), in_sequence: node.in_sequence };
        prop_assert_eq!(other.engine.position(), node.engine.position());
        prop_assert_eq!(other.engine.check_thoroughly(), node.engine.check_thoroughly());
        prop_assert_eq!(other.engine.totals(), node.engine.totals());
        prop_assert!(other.snapshot() == bytes, "the same state, the same bytes");
        let mut random = Random(seed ^ 1);
        for number in steps..steps + more {
            let next = step(&mut random, number);
            prop_assert_eq!(node.decide(&next, "acme"), other.decide(&next, "acme"));
            prop_assert_eq!(node.engine.digest(), other.engine.digest());
        }
        prop_assert!(other.snapshot() == node.snapshot(), "and what neither digest nor answers show is the same too");
    }

    #[test]
    fn a_restored_engine_publishes_what_the_one_that_was_written_does(seed: u64, steps in 0u64..100, more in 1u64..60) {
        let mut leader = Process::new();
        leader.decide(&(vec![PUBLISHING.replace('\n', "")], vec![], 0), "policy");
        let (mut random, mut before) = (Random(seed), restored(&leader.snapshot()).unwrap());
        before.begin_publishing();
        let mut after: Option<Engine> = None;
        for number in 0..steps + more {
            if number == steps {
                let mut bytes = Vec::new();
                before.snapshot(&mut bytes).unwrap();
                let mut other = restored(&bytes).unwrap();
                other.begin_publishing();
                before.take_events();
                after = Some(other);
            }
            let next = step(&mut random, number);
            if let (Some(message), _) = leader.decide(&next, "acme") {
                let sequence = leader.engine.position().sequence;
                for engine in std::iter::once(&mut before).chain(&mut after) {
                    prop_assert!(engine.apply(sequence, &message).unwrap());
                    prop_assert_eq!(engine.stale_figures(), Vec::<String>::new());
                }
            }
        }
        prop_assert_eq!(before.take_events(), after.unwrap().take_events());
    }

    #[test]
    fn a_replay_of_the_log_gives_the_bytes_that_its_leader_gives(seed: u64, steps in 0u64..120) {
        let mut leader = Process::new();
        let mut follower = Process::new();
        let mut random = Random(seed);
        for number in 0..steps {
            let next = step(&mut random, number);
            if let (Some(message), _) = leader.decide(&next, "acme") {
                let sequence = leader.engine.position().sequence;
                prop_assert!(follower.engine.apply(sequence, &message).unwrap());
            }
        }
        // A group that comes to nothing moves the leader's clocks alone; a day later there is a batch for both.
        let (now_ms, lead_ms) = (leader.engine.position().now_ms, leader.engine.position().lead_ms);
        let day = leader.engine.decide(now_ms + 86_400_000, lead_ms, &[], &[]).unwrap();
        let sequence = leader.engine.position().sequence + 1;
        leader.engine.commit(sequence).unwrap();
        follower.engine.apply(sequence, &day.message.unwrap()).unwrap();
        let (led, followed) = (leader.snapshot(), follower.snapshot());
        prop_assert_eq!(differing(&led, &followed), Vec::<&str>::new());
        prop_assert!(led == followed);
    }

    #[test]
    fn no_flipped_bit_gets_through(seed: u64, at: prop::sample::Index, bit in 0u8..8) {
        let mut bytes = Process::play(seed, 60).snapshot();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(restored(&bytes).is_err());
    }

    #[test]
    fn no_end_that_is_cut_off_gets_through(seed: u64, at: prop::sample::Index) {
        let bytes = Process::play(seed, 60).snapshot();
        prop_assert!(restored(&bytes[..at.index(bytes.len())]).is_err());
    }

    /// A faulty writer, or a forger: checksums fit, contents do not. An error or another state, never a panic.
    #[test]
    fn contents_that_contradict_themselves_are_an_error(seed in 0u64..8, changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let bytes = Process::play(seed, 100).snapshot();
        if let Ok(mut engine) = restored(&forged(&bytes, &changes)) {
            prop_assert_eq!(engine.digest(), Process::play(seed, 100).engine.digest());
        }
    }
}

/// Each block's table and index as in the file, and its bytes unpacked.
fn unpacked(bytes: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let header_length = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    let (mut at, mut blocks) = (24 + header_length, Vec::new());
    while bytes[at..at + 8] != *b"HFSNAPED" {
        let word = |from: usize| u32::from_le_bytes(bytes[from..from + 4].try_into().unwrap()) as usize;
        let (raw, stored) = (word(at + 8), word(at + 12));
        let body = &bytes[at + 24..at + 24 + stored];
        let body = if stored < raw {
            zstd::bulk::decompress(body, BLOCK_BYTES_MAX).unwrap()
        } else {
            body.to_vec()
        };
        blocks.push((bytes[at..at + 8].to_vec(), body));
        at += 24 + stored;
    }
    blocks
}

/// The names of the tables that differ (each here is one block).
fn differing(one: &[u8], other: &[u8]) -> Vec<&'static str> {
    let pairs = unpacked(one).into_iter().zip(unpacked(other));
    let differing = pairs.zip(TABLES).filter(|((a, b), _)| a != b);
    differing.map(|(_, table)| table.name).collect()
}

/// The snapshot with some of its unpacked bytes changed, and every checksum made to fit.
fn forged(bytes: &[u8], changes: &[(prop::sample::Index, u8)]) -> Vec<u8> {
    let header_length = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    let mut blocks = unpacked(bytes);
    let total: usize = blocks.iter().map(|(_, body)| body.len()).sum();
    for (index, value) in changes {
        let mut left = index.index(total);
        for (_, body) in &mut blocks {
            if left < body.len() {
                body[left] = *value;
                break;
            }
            left -= body.len();
        }
    }
    let mut out = bytes[..24 + header_length].to_vec();
    let mut content = blake3::Hasher::new();
    content.update(&bytes[16..16 + header_length]);
    for (mut head, body) in blocks {
        head.extend_from_slice(&(body.len() as u32).to_le_bytes());
        head.extend_from_slice(&(body.len() as u32).to_le_bytes());
        let mut sum = xxhash_rust::xxh3::Xxh3::new();
        sum.update(&head);
        sum.update(&body);
        out.extend_from_slice(&head);
        out.extend_from_slice(&sum.digest().to_le_bytes());
        out.extend_from_slice(&body);
        content.update(&head[..2]); // each table here is one block
        content.update(&body);
        content.update(&(body.len() as u64).to_le_bytes());
    }
    out.extend_from_slice(b"HFSNAPED");
    out.extend_from_slice(content.finalize().as_bytes());
    out
}

#[test]
fn a_forgery_without_a_change_is_the_snapshot_itself() {
    let bytes = Process::play(3, 80).snapshot();
    let mut engine = restored(&forged(&bytes, &[])).unwrap();
    assert_eq!(engine.digest(), Process::play(3, 80).engine.digest());
}

#[test]
fn tables_larger_than_a_block_are_cut_into_blocks() {
    let mut node = Process::new();
    for n in 0..120 {
        let level = |k: u32| {
            format!(
                r#"{{"kind":"stock.level","sku":"a-rather-long-name-{n:04}-{k:04}","location":"lyon","on_hand":{k},"basis":"net","as_of":{n}}}"#
            )
        };
        let facts: Vec<String> = (0..1_000).map(level).collect();
        node.decide(&(vec![facts.join(",")], vec![], 0), "acme");
    }
    let bytes = node.snapshot();
    let engine = restored(&bytes).unwrap();
    assert_eq!(engine.sellable("a-rather-long-name-0119-0777", "web", None), Some(777));
    assert_eq!(engine.check_thoroughly(), Vec::<String>::new());
}

#[test]
fn a_newer_format_another_scope_and_another_file_are_distinguished() {
    let bytes = Process::play(1, 10).snapshot();
    let mut newer = bytes.clone();
    newer[8..12].copy_from_slice(&(FORMAT + 1).to_le_bytes());
    assert!(matches!(
        restored(&newer),
        Err(SnapshotError::TooNew { found, known }) if (found, known) == (FORMAT + 1, FORMAT)
    ));
    let other = Engine::restore("other", None, &mut &bytes[..]);
    assert!(matches!(other, Err(SnapshotError::OtherScope { .. })));
    assert!(matches!(
        restored(b"PK\x03\x04 and more"),
        Err(SnapshotError::NotASnapshot)
    ));
    assert!(matches!(restored(b""), Err(SnapshotError::NotASnapshot)));
}

#[test]
fn a_batch_under_way_is_not_written() {
    let mut node = Process::play(1, 10);
    let (now_ms, lead_ms) = (node.engine.position().now_ms, node.engine.position().lead_ms);
    node.engine.decide(now_ms + 86_400_000, lead_ms, &[], &[]).unwrap();
    assert!(matches!(
        node.engine.snapshot(&mut Vec::new()),
        Err(SnapshotError::Pending)
    ));
}

#[test]
fn the_histories_reach_every_table() {
    let mut seen = std::collections::BTreeMap::<String, u64>::new();
    for seed in 0..12 {
        let mut node = Process::play(seed, 150);
        for (name, count) in node.engine.snapshot(&mut Vec::new()).unwrap().tables {
            *seen.entry(name).or_default() += count;
        }
    }
    let empty: Vec<_> = seen.iter().filter(|(_, count)| **count == 0).collect();
    assert!(empty.is_empty(), "no history fills {empty:?}");
}
