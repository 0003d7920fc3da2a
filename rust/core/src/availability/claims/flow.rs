//! F as a maximum flow (Dinic), for more distinct claims than a table of their subsets can hold.
//!
//! In: stock, taker, claims with a quantity above 0. Out: the flow that the taker adds once the claims have theirs.
//! Always: iterative, and at most one phase per vertex, so a hostile catalogue costs time in the square of its nodes
//! times its arcs, never the stack.

use super::{Claim, NodeSet, at, stock_of};

const SOURCE: usize = 0;
const SINK: usize = 1;
const UNSEEN: u32 = u32::MAX;

/// The claims' flow first, the taker's on top of it: augmenting may re-route claims but never takes from them, so the
/// second flow is exactly what is left to take.
pub(super) fn beside_many<'a>(stock: &[i64], taker: &NodeSet, claims: impl Iterator<Item = &'a Claim>) -> i128 {
    let mut network = Network::new(stock);
    for claim in claims {
        let arc = network.add_wanting(&claim.nodes);
        network.room[arc] = claim.quantity.into();
    }
    let taking = network.add_wanting(taker);
    network.push_all();
    network.room[taking] = stock_of(stock, taker);
    network.push_all()
}

/// source -> claim -> node -> sink. Arcs are stored in pairs: arc `a` and its way back, `a ^ 1`.
struct Network {
    /// The arcs that leave each vertex: source, sink, the nodes, the claims.
    leaving: Vec<Vec<usize>>,
    head: Vec<usize>,
    room: Vec<i128>,
    /// What no arc between a claim and a node can ever be short of.
    endless: i128,
    nodes: usize,
    level: Vec<u32>,
    next: Vec<usize>,
}

impl Network {
    fn new(stock: &[i64]) -> Self {
        let mut network = Self {
            leaving: vec![Vec::new(); 2 + stock.len()],
            head: Vec::new(),
            room: Vec::new(),
            endless: stock.iter().map(|&quantity| i128::from(quantity)).sum(),
            nodes: stock.len(),
            level: Vec::new(),
            next: Vec::new(),
        };
        for node in 0..stock.len() {
            network.add_arc(2 + node, SINK, at(stock, node));
        }
        network
    }

    fn add_arc(&mut self, from: usize, to: usize, room: i128) -> usize {
        let arc = self.head.len();
        self.head.extend([to, from]);
        self.room.extend([room, 0]);
        self.leaving[from].push(arc);
        self.leaving[to].push(arc + 1);
        arc
    }

    /// A vertex that may use `nodes`, and the arc, as yet without room, that feeds it.
    fn add_wanting(&mut self, nodes: &NodeSet) -> usize {
        let vertex = self.leaving.len();
        self.leaving.push(Vec::new());
        let known = self.nodes;
        for node in nodes.iter().take_while(|&node| node < known) {
            self.add_arc(vertex, 2 + node, self.endless);
        }
        self.add_arc(SOURCE, vertex, 0)
    }

    /// Pushes what still flows from source to sink, and returns how much that was.
    fn push_all(&mut self) -> i128 {
        let mut pushed = 0;
        while self.find_levels() {
            pushed += self.push_along_levels();
        }
        pushed
    }

    /// Breadth first: the distance of each vertex from the source. False when the sink is out of reach.
    fn find_levels(&mut self) -> bool {
        self.level.clear();
        self.level.resize(self.leaving.len(), UNSEEN);
        self.level[SOURCE] = 0;
        let mut queue = std::collections::VecDeque::from([SOURCE]);
        while let Some(vertex) = queue.pop_front() {
            for &arc in &self.leaving[vertex] {
                let to = self.head[arc];
                if self.room[arc] > 0 && self.level[to] == UNSEEN {
                    self.level[to] = self.level[vertex] + 1;
                    queue.push_back(to);
                }
            }
        }
        self.level[SINK] != UNSEEN
    }

    /// Depth first along rising levels until no such path has room (a blocking flow).
    fn push_along_levels(&mut self) -> i128 {
        self.next.clear();
        self.next.resize(self.leaving.len(), 0);
        let (mut pushed, mut path, mut vertex) = (0, Vec::new(), SOURCE);
        loop {
            if vertex == SINK {
                pushed += self.fill(&mut path);
            } else if let Some(arc) = self.step(vertex) {
                path.push(arc);
            } else {
                // A dead end, for the rest of this phase.
                self.level[vertex] = UNSEEN;
                if path.pop().is_none() {
                    return pushed;
                }
            }
            vertex = path.last().map_or(SOURCE, |&arc| self.head[arc]);
        }
    }

    /// The next usable arc that leaves `vertex`. Those passed over stay useless until the next phase.
    fn step(&mut self, vertex: usize) -> Option<usize> {
        let leaving = &self.leaving[vertex];
        while let Some(&arc) = leaving.get(self.next[vertex]) {
            let to = self.head[arc];
            if self.room[arc] > 0 && self.level[to] != UNSEEN && self.level[to] == self.level[vertex] + 1 {
                return Some(arc);
            }
            self.next[vertex] += 1;
        }
        None
    }

    /// Sends as much as `path` has room for, and cuts it back to before the first arc that is now full.
    fn fill(&mut self, path: &mut Vec<usize>) -> i128 {
        let amount = path.iter().map(|&arc| self.room[arc]).min().unwrap_or(0);
        for &arc in path.iter() {
            self.room[arc] -= amount;
            self.room[arc ^ 1] += amount;
        }
        let full = path.iter().position(|&arc| self.room[arc] == 0).unwrap_or(0);
        path.truncate(full);
        amount
    }
}
