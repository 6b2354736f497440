//! Up to where an exporter is done, when pieces may finish out of order.

use std::collections::VecDeque;

use crate::log::Position;

/// Pieces in the order they were handed to the exporter; the cursor may move past those that are finished and
/// have only finished ones before them.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The ticket of the first piece in `pieces`.
    first: u64,
    pieces: VecDeque<Piece>,
    floor: Position,
}

#[derive(Debug)]
struct Piece {
    finished: bool,
    /// Once this piece and all before it are finished, so is everything up to here.
    floor: Position,
}

pub(super) type Ticket = u64;

impl Progress {
    /// A piece is handed over; nothing at or below `floor` remains to be handed over after it.
    pub fn start(&mut self, floor: Position) -> Ticket {
        self.pieces.push_back(Piece { finished: false, floor });
        self.first + self.pieces.len() as u64 - 1
    }

    pub fn finish(&mut self, ticket: Ticket) {
        let index = ticket.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        if let Some(piece) = index.and_then(|index| self.pieces.get_mut(index)) {
            piece.finished = true;
        }
        while self.pieces.front().is_some_and(|piece| piece.finished) {
            if let Some(piece) = self.pieces.pop_front() {
                self.floor = self.floor.max(piece.floor);
                self.first += 1;
            }
        }
    }

    /// Everything up to here is finished.
    pub fn floor(&self) -> Position {
        self.floor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_only_past_the_lowest_unfinished() {
        let mut progress = Progress::default();
        let tickets = [progress.start(3), progress.start(3), progress.start(9)];
        progress.finish(tickets[2]);
        assert_eq!(progress.floor(), 0);
        progress.finish(tickets[0]);
        assert_eq!(progress.floor(), 3);
        progress.finish(tickets[1]);
        assert_eq!(progress.floor(), 9);
        let next = progress.start(12);
        progress.finish(next);
        assert_eq!(progress.floor(), 12);
    }
}
