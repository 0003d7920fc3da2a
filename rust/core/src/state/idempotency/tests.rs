//! The table of answered requests beside a list that is searched from end to end.

use crate::wire::keys::{hash, read_hex};
use proptest::prelude::*;

use super::*;

const WIDE: Bounds = Bounds {
    entries_max: 1_000,
    bytes_max: 1 << 30,
    which: Forget::Oldest,
};

fn entry(request: u128, at_ms: i64, words: usize) -> Entry {
    Entry {
        request,
        at_ms,
        status: 200,
        answer: StoredAnswer::Body(vec![b'x'; words].into()),
        whose: NOBODY,
    }
}

#[test]
fn each_api_key_has_keys_of_its_own_and_each_part_too() {
    let keys = [
        Asked::whole(None, "k", 1),
        Asked::whole(Some(""), "k", 1),
        Asked::whole(Some("a"), "k", 1),
        Asked::whole(Some("ak"), "", 1),
        Asked::whole(Some("a"), "k", 1).part(0),
        Asked::whole(Some("a"), "k", 1).part(1),
    ];
    for (n, one) in keys.iter().enumerate() {
        assert!(keys[..n].iter().all(|other| other.key != one.key), "{n}");
    }
    assert_eq!(keys[4].root, keys[2].key);
    assert_eq!((keys[2].is_part(), keys[4].is_part()), (false, true));
}

#[test]
fn a_part_of_another_request_is_a_conflict_even_where_the_first_had_no_such_part() {
    let mut table = AnsweredRequests::default();
    let first = Asked::whole(None, "k", 1);
    let in_parts = Entry {
        answer: StoredAnswer::InParts,
        status: 0,
        ..entry(1, 0, 0)
    };
    table.remember(first.root, in_parts, WIDE);
    table.remember(first.part(0).key, entry(1, 0, 1), WIDE);
    assert_eq!(table.ask(&first.part(0)), Known::Repeat(&entry(1, 0, 1)));
    assert_eq!(table.ask(&first.part(1)), Known::New);
    assert_eq!(table.ask(&Asked::whole(None, "k", 2).part(7)), Known::Conflict);
    assert_eq!(table.ask(&Asked::whole(Some("b"), "k", 2)), Known::New);
}

#[test]
fn an_entry_larger_than_the_whole_bound_is_kept_alone() {
    let mut table = AnsweredRequests::default();
    let bounds = Bounds {
        entries_max: 10,
        bytes_max: 300,
        which: Forget::Oldest,
    };
    assert!(table.remember(1, entry(1, 0, 10), bounds).is_empty());
    let left = table.remember(2, entry(1, 0, 1_000), bounds);
    assert_eq!(left.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [1]);
    assert_eq!((table.len(), table.bytes()), (1, ENTRY_BYTES + 1_000));
}

#[test]
fn hexadecimal_digits_are_read_back() {
    let number = hash(&[b"a"]);
    assert_eq!(read_hex(&format!("{number:032x}")), Some(number));
    for wrong in [
        "",
        "12",
        "+0000000000000000000000000000000",
        "g0000000000000000000000000000000",
    ] {
        assert_eq!(read_hex(wrong), None, "{wrong}");
    }
    assert_ne!(hash(&[b"a", b"b"]), hash(&[b"ab"]));
}

proptest! {
    #[test]
    fn the_table_does_what_a_list_would(
        steps in prop::collection::vec((0..12_u128, 0..3_u128, 0..3_i64, 0..400_usize), 1..80),
        entries_max in 1..6_usize,
        bytes_max in 200..2_000_usize,
        kept_ms in 1..6_i64,
    ) {
        let mut table = AnsweredRequests::default();
        let mut list: Vec<(u128, Entry)> = Vec::new();
        let mut now_ms = 0;
        let weight = |list: &[(u128, Entry)]| list.iter().map(|(_, e)| ENTRY_BYTES + e.answer.bytes()).sum::<usize>();
        for (key, request, waited_ms, words) in steps {
            now_ms += waited_ms;
            while let Some((gone, _)) = table.forget_older(now_ms - kept_ms) {
                prop_assert_eq!(gone, list.remove(0).0);
            }
            prop_assert!(list.iter().all(|(_, e)| e.at_ms > now_ms - kept_ms));
            let asked = Asked { root: key, key, request };
            let expected = match list.iter().find(|(k, _)| *k == key) {
                None => Known::New,
                Some((_, e)) if e.request == request => Known::Repeat(e),
                Some(_) => Known::Conflict,
            };
            prop_assert_eq!(table.ask(&asked), expected);
            let new = list.iter().all(|(k, _)| *k != key);
            let bounds = Bounds { entries_max, bytes_max, which: Forget::Oldest };
            let left = table.remember(key, entry(request, now_ms, words), bounds);
            if new {
                list.push((key, entry(request, now_ms, words)));
                let mut out = Vec::new();
                while list.len() > 1 && (list.len() > entries_max || weight(&list) > bytes_max) {
                    out.push(list.remove(0));
                }
                prop_assert_eq!(left, out);
            }
            prop_assert_eq!(table.iter().map(|(k, e)| (k, e.clone())).collect::<Vec<_>>(), list.clone());
            prop_assert_eq!(table.bytes(), weight(&list));
            prop_assert_eq!(table.flaws(), Vec::<String>::new());
        }
    }

    #[test]
    fn who_fills_the_table_forgets_its_own(
        steps in prop::collection::vec((0..4_u64, 0..400_usize), 1..80),
        entries_max in 2..6_usize,
        bytes_max in 800..4_000_usize,
    ) {
        let mut table = AnsweredRequests::default();
        let bounds = Bounds { entries_max, bytes_max, which: Forget::OfLargestShare };
        for (key, (whose, words)) in (0_u128..).zip(steps) {
            let share = |table: &AnsweredRequests, whose| {
                table.iter().filter(|(_, e)| e.whose == whose).map(|(_, e)| e.weight()).sum::<usize>()
            };
            let most = (0..4).map(|one| share(&table, one)).max();
            let new = Entry { whose, ..entry(1, 0, words) };
            let left = table.remember(key, new, bounds);
            if let Some((_, first)) = left.first() {
                // It was forgotten first: nobody had more than its owner then.
                let had = share(&table, first.whose) + left.iter().filter(|(_, e)| e.whose == first.whose)
                    .map(|(_, e)| e.weight()).sum::<usize>();
                let own = if first.whose == whose { table.iter().last().map_or(0, |(_, e)| e.weight()) } else { 0 };
                prop_assert_eq!(Some(had - own), most);
            }
            prop_assert!(table.len() <= entries_max);
            prop_assert!(table.len() == 1 || table.bytes() <= bytes_max);
            prop_assert_eq!(table.flaws(), Vec::<String>::new());
        }
    }
}
