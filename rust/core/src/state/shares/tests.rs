//! Shares beside a list that is searched from end to end.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Push(Whose, usize),
    Pop(Forget),
    Take(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let which = prop_oneof![Just(Forget::Oldest), Just(Forget::OfLargestShare)];
    let step = prop_oneof![
        4 => (0..4_u64, 1..5_usize).prop_map(|(whose, weight)| Step::Push(whose, weight)),
        2 => which.prop_map(Step::Pop),
        1 => (0..20_usize).prop_map(Step::Take),
    ];
    proptest::collection::vec(step, 0..80)
}

/// By the words: (whose, key, weight), oldest first.
#[derive(Default)]
struct Plain(Vec<(Whose, u32, usize)>);

impl Plain {
    fn next(&self, which: Forget) -> Option<usize> {
        let share = |whose| {
            self.0
                .iter()
                .filter(|one| one.0 == whose)
                .map(|one| one.2)
                .sum::<usize>()
        };
        match which {
            Forget::Oldest => (!self.0.is_empty()).then_some(0),
            Forget::OfLargestShare => {
                let largest = self.0.iter().map(|one| (share(one.0), one.0)).max()?.1;
                self.0.iter().position(|one| one.0 == largest)
            }
        }
    }
}

proptest! {
    #[test]
    fn what_goes_next_is_what_the_words_say(steps in steps()) {
        let (mut shares, mut plain) = (Shares::default(), Plain::default());
        let mut places = Vec::new();
        for (key, step) in (0_u32..).zip(steps) {
            match step {
                Step::Push(whose, weight) => {
                    places.push((key, shares.push(whose, key, weight)));
                    plain.0.push((whose, key, weight));
                }
                Step::Pop(which) => {
                    let at = plain.next(which);
                    prop_assert_eq!(shares.next(which).copied(), at.map(|at| plain.0[at].1));
                    let weights = plain.0.clone();
                    let weight_of = |key: &u32| weights.iter().find(|one| one.1 == *key).expect("known").2;
                    prop_assert_eq!(shares.pop(which, weight_of), at.map(|at| plain.0.remove(at).1));
                }
                Step::Take(at) if at < plain.0.len() => {
                    let (_, key, weight) = plain.0.remove(at);
                    let place = places.iter().find(|one| one.0 == key).expect("pushed").1;
                    prop_assert_eq!(shares.take(place, weight), Some(key));
                    prop_assert_eq!(shares.take(place, weight), None, "it is taken once");
                }
                Step::Take(_) => {}
            }
            prop_assert_eq!((shares.len(), shares.is_empty()), (plain.0.len(), plain.0.is_empty()));
            prop_assert_eq!(shares.weight(), plain.0.iter().map(|one| one.2).sum::<usize>());
            let all: Vec<_> = shares.iter().map(|(whose, key)| (whose, *key)).collect();
            prop_assert_eq!(all, plain.0.iter().map(|one| (one.0, one.1)).collect::<Vec<_>>());
        }
        let mut again = Shares::default();
        for (whose, key) in shares.iter() {
            let weight = plain.0.iter().find(|one| one.1 == *key).expect("known").2;
            again.push(whose, *key, weight);
        }
        prop_assert!(again == shares);
        for which in [Forget::Oldest, Forget::OfLargestShare] {
            prop_assert_eq!(again.next(which), shares.next(which), "a restored memory forgets the same next");
        }
    }
}
