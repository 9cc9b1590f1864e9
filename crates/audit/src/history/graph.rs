//! Who must come before whom.
//!
//! Operations are nodes. So are *moments*, one for each answer: an operation comes before the moment of
//! its answer, a moment before the next one, and the last moment before an operation was sent before
//! that operation. So the clock takes an edge or two for each operation, and not one for each pair.
#![expect(
    clippy::indexing_slicing,
    reason = "nodes are numbered here, from 0 up to the length of each vector"
)]

use std::{cmp::Reverse, collections::BinaryHeap};

use super::{Anomaly, Kind, Lines, Operation, Place};

/// Why one comes before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    /// It wrote the line before.
    Wrote,
    /// The other one saw its line.
    WasSeen,
    /// It did not see the other one's line.
    DidNotSee,
    /// It was answered before the other one was sent.
    WasAnswered,
}

/// Through how many operations the shortest cycle is looked for.
const STARTS_MAX: usize = 16;
/// What an edge of [`Why::DidNotSee`] weighs: a cycle with fewer of them says more.
const UNSEEN: u64 = 1_000_000;

/// The edges, node by node.
pub(super) struct Graph {
    /// How many of the nodes are operations; moments come behind them.
    operations: usize,
    /// Where each node's edges begin.
    begins: Vec<usize>,
    edges: Vec<(usize, Why)>,
}

impl Graph {
    pub(super) fn of(operations: &[Operation], lines: &Lines) -> Self {
        let moments = Moments::of(operations);
        let nodes = operations.len().saturating_add(moments.answers.len());
        let each = |tell: &mut dyn FnMut(usize, usize, Why)| {
            tell_lines(operations, lines, tell);
            moments.tell(operations, tell);
        };
        // Counted first, so that all edges fit into one vector, node by node.
        let mut begins = vec![0_usize; nodes + 1];
        each(&mut |from, _, _| begins[from + 1] += 1);
        for node in 0..nodes {
            begins[node + 1] += begins[node];
        }
        let mut edges = vec![(0, Why::Wrote); begins[nodes]];
        let mut free = begins.clone();
        each(&mut |from, to, why| {
            edges[free[from]] = (to, why);
            free[from] += 1;
        });
        Self {
            operations: operations.len(),
            begins,
            edges,
        }
    }

    /// The cycle that says most, if there is one.
    pub(super) fn anomaly(&self) -> Option<Anomaly> {
        let cyclic = self.cyclic(Why::WasAnswered);
        if cyclic.is_empty() {
            return None;
        }
        let reasons = [Why::Wrote, Why::WasSeen, Why::DidNotSee, Why::WasAnswered];
        reasons.into_iter().find_map(|most| {
            let cycle = self.shortest(most, &self.cyclic(most))?;
            let operations = cycle.iter().map(|(node, _)| *node);
            let operations = operations.filter(|node| *node < self.operations);
            Some(Anomaly::of(kind(&cycle), operations, None))
        })
    }

    fn nodes(&self) -> usize {
        self.begins.len() - 1
    }

    /// The edges of a node, for these reasons.
    fn edges(&self, node: usize, most: Why) -> impl Iterator<Item = (usize, Why)> {
        let edges = &self.edges[self.begins[node]..self.begins[node + 1]];
        edges.iter().copied().filter(move |(_, why)| *why <= most)
    }

    /// The nodes that are left when all are taken away that nothing comes before, again and again,
    /// and then all that come before nothing: those on cycles, and between them.
    fn cyclic(&self, most: Why) -> Vec<usize> {
        let nodes = self.nodes();
        let mut before = vec![0_usize; nodes];
        for node in 0..nodes {
            for (to, _) in self.edges(node, most) {
                before[to] += 1;
            }
        }
        let mut free: Vec<usize> = (0..nodes).filter(|node| before[*node] == 0).collect();
        let mut left = nodes - free.len();
        while let Some(node) = free.pop() {
            for (to, _) in self.edges(node, most) {
                before[to] -= 1;
                if before[to] == 0 {
                    free.push(to);
                    left -= 1;
                }
            }
        }
        if left == 0 {
            return vec![];
        }
        let is_left: Vec<bool> = before.iter().map(|count| *count > 0).collect();
        self.without_ends(most, is_left)
    }

    /// Takes away, of these nodes, all that come before nothing.
    fn without_ends(&self, most: Why, mut is_left: Vec<bool>) -> Vec<usize> {
        let nodes = self.nodes();
        let mut after = vec![0_usize; nodes];
        let mut befores: Vec<Vec<usize>> = vec![vec![]; nodes];
        for node in (0..nodes).filter(|node| is_left[*node]) {
            for (to, _) in self.edges(node, most).filter(|(to, _)| is_left[*to]) {
                after[node] += 1;
                befores[to].push(node);
            }
        }
        let is_end = |node: &usize| is_left[*node] && after[*node] == 0;
        let mut ends: Vec<usize> = (0..nodes).filter(is_end).collect();
        while let Some(end) = ends.pop() {
            is_left[end] = false;
            for before in &befores[end] {
                after[*before] -= 1;
                if after[*before] == 0 {
                    ends.push(*before);
                }
            }
        }
        (0..nodes).filter(|node| is_left[*node]).collect()
    }

    /// The cycle with the fewest edges of [`Why::DidNotSee`], and of those the shortest, through one
    /// of the first of these nodes: each node with why it comes before the next one.
    fn shortest(&self, most: Why, among: &[usize]) -> Option<Vec<(usize, Why)>> {
        let starts = self.on_cycles(most, among).into_iter();
        let cycles = starts.filter_map(|start| self.cycle(start, most));
        let cheapest = cycles.min_by_key(|(weight, _)| *weight);
        cheapest.map(|(_, cycle)| cycle)
    }

    /// Some operations that are on cycles, for certain: at least one if there is a cycle among these
    /// nodes. Going ever deeper from one to the next, whoever leads back to one on the way has closed
    /// a cycle.
    fn on_cycles(&self, most: Why, among: &[usize]) -> Vec<usize> {
        const NEW: usize = usize::MAX;
        const LEFT: usize = usize::MAX - 1;
        // How deep a node is on the way.
        let mut depths = vec![LEFT; self.nodes()];
        for node in among {
            depths[*node] = NEW;
        }
        let mut found = vec![];
        for start in among {
            if depths[*start] != NEW {
                continue;
            }
            depths[*start] = 0;
            let mut way = vec![(*start, self.begins[*start])];
            while let Some((node, next)) = way.pop() {
                if next == self.begins[node + 1] {
                    depths[node] = LEFT;
                    continue;
                }
                way.push((node, next + 1));
                let (to, why) = self.edges[next];
                if why > most || depths[to] == LEFT {
                    continue;
                }
                if depths[to] == NEW {
                    depths[to] = way.len();
                    way.push((to, self.begins[to]));
                    continue;
                }
                // Moments alone make no cycle.
                let mut cycle = way[depths[to]..].iter().map(|(node, _)| *node);
                found.extend(cycle.find(|node| *node < self.operations));
                if found.len() == STARTS_MAX {
                    return found;
                }
            }
        }
        found
    }

    /// The cheapest cycle through a node, by Dijkstra's algorithm.
    fn cycle(&self, start: usize, most: Why) -> Option<(u64, Vec<(usize, Why)>)> {
        let mut weights = vec![u64::MAX; self.nodes()];
        let mut came_by: Vec<Option<(usize, Why)>> = vec![None; self.nodes()];
        let mut next = BinaryHeap::from([Reverse((0, start))]);
        while let Some(Reverse((weight, node))) = next.pop() {
            if node == start && weight > 0 {
                return Some((weight, path(&came_by, start)));
            }
            if weight > weights[node] {
                continue;
            }
            for (to, why) in self.edges(node, most) {
                let costs = if why == Why::DidNotSee { UNSEEN } else { 1 };
                let through = weight.saturating_add(costs);
                if through < weights[to] {
                    weights[to] = through;
                    came_by[to] = Some((node, why));
                    next.push(Reverse((through, to)));
                }
            }
        }
        None
    }
}

/// Back along the way from `start` to itself.
fn path(came_by: &[Option<(usize, Why)>], start: usize) -> Vec<(usize, Why)> {
    let mut path = vec![];
    let mut node = start;
    while let Some((before, why)) = came_by[node] {
        path.push((before, why));
        node = before;
        if node == start {
            break;
        }
    }
    path.reverse();
    path
}

/// What a cycle is called.
fn kind(cycle: &[(usize, Why)]) -> Kind {
    let has = |wanted: Why| cycle.iter().any(|(_, why)| *why == wanted);
    let is_unseen = |why: Why| why == Why::DidNotSee;
    let unseen = cycle.iter().filter(|(_, why)| is_unseen(*why)).count();
    let next = cycle.iter().cycle().skip(1);
    let adjacent = cycle
        .iter()
        .zip(next)
        .any(|((_, why), (_, next))| is_unseen(*why) && is_unseen(*next));
    match (has(Why::WasAnswered), unseen) {
        (true, 0) => Kind::OrderInversion,
        (true, _) => Kind::StaleRead,
        (false, 0) if has(Why::WasSeen) => Kind::CircularFlow,
        (false, 0) => Kind::WriteCycle,
        (false, 1) => Kind::FracturedRead,
        (false, _) if adjacent => Kind::WriteSkew,
        (false, _) => Kind::LongFork,
    }
}

/// What lines and those who saw them say of the order.
fn tell_lines(operations: &[Operation], lines: &Lines, tell: &mut dyn FnMut(usize, usize, Why)) {
    for pair in lines.sorted.windows(2) {
        let ((place, number), (next, follower)) = (pair[0], pair[1]);
        if place.account == next.account && number != follower {
            tell(number, follower, Why::Wrote);
        }
    }
    for (number, op) in operations.iter().enumerate() {
        for saw in &op.saw {
            if let Some(author) = lines.writer(*saw).filter(|author| *author != number) {
                tell(author, number, Why::WasSeen);
            }
            let next = Place {
                line: saw.line.saturating_add(1),
                ..*saw
            };
            if let Some(follower) = lines.writer(next).filter(|follower| *follower != number) {
                tell(number, follower, Why::DidNotSee);
            }
        }
    }
}

/// The answers in order of time.
struct Moments {
    answers: Vec<(u64, usize)>,
}

impl Moments {
    fn of(operations: &[Operation]) -> Self {
        let answers = operations.iter().enumerate();
        let mut answers: Vec<(u64, usize)> = answers
            .filter_map(|(number, op)| Some((op.answered?, number)))
            .collect();
        answers.sort_unstable();
        Self { answers }
    }

    fn tell(&self, operations: &[Operation], tell: &mut dyn FnMut(usize, usize, Why)) {
        let moment = |place: usize| operations.len() + place;
        for (place, (_, number)) in self.answers.iter().enumerate() {
            tell(*number, moment(place), Why::WasAnswered);
            if place > 0 {
                tell(moment(place - 1), moment(place), Why::WasAnswered);
            }
        }
        for (number, op) in operations.iter().enumerate() {
            // What was sent in the very moment of an answer may have come before it.
            let answered = self.answers.partition_point(|(at, _)| *at < op.sent);
            if answered > 0 {
                tell(moment(answered - 1), number, Why::WasAnswered);
            }
        }
    }
}
