//! The received bytes of a batch: chunks that are filled one after another and used again.

/// Size of the arena's chunks in bytes. One block that grows would hold twice what it needs, and be copied each time.
const CHUNK: usize = 256 * 1024;
/// Chunks that are kept for the next batch; a burst's others are given back.
const KEPT_CHUNKS: usize = 4;

/// Where bytes lie in an [`Arena`].
#[derive(Debug, Clone, Copy)]
pub struct Place {
    chunk: usize,
    start: usize,
    len: usize,
}

impl Place {
    /// How many bytes lie there.
    pub fn len(self) -> usize {
        self.len
    }

    /// Whether none do.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Where in its chunk they begin.
    pub fn start(self) -> usize {
        self.start
    }
}

/// Received bytes, each piece in one chunk.
#[derive(Debug, Default)]
pub struct Arena {
    chunks: Vec<Vec<u8>>,
    /// The chunk that is being filled.
    filling: usize,
    len: usize,
}

impl Arena {
    /// Copies `bytes` in.
    pub fn push(&mut self, bytes: &[u8]) -> Place {
        let room = |chunk: &Vec<u8>| chunk.capacity() - chunk.len();
        if self
            .chunks
            .get(self.filling)
            .is_some_and(|chunk| room(chunk) < bytes.len())
        {
            self.filling += 1;
        }
        if self
            .chunks
            .get(self.filling)
            .is_none_or(|chunk| room(chunk) < bytes.len())
        {
            let chunk = Vec::with_capacity(CHUNK.max(bytes.len()));
            self.chunks.insert(self.filling, chunk);
        }
        let chunk = &mut self.chunks[self.filling];
        let place = Place {
            chunk: self.filling,
            start: chunk.len(),
            len: bytes.len(),
        };
        chunk.extend_from_slice(bytes);
        self.len += bytes.len();
        place
    }

    /// The bytes of `place`.
    pub fn get(&self, place: Place) -> &[u8] {
        &self.chunks[place.chunk][place.start..place.start + place.len]
    }

    /// Bytes in it.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Empties it and keeps its first chunks.
    pub fn clear(&mut self) {
        self.chunks.truncate(KEPT_CHUNKS);
        self.chunks.iter_mut().for_each(Vec::clear);
        (self.filling, self.len) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::{Arena, CHUNK, KEPT_CHUNKS};

    #[test]
    fn a_chunk_is_filled_to_its_last_byte() {
        let mut arena = Arena::default();
        for _ in 0..4 {
            arena.push(&[1; CHUNK / 4]);
        }
        assert_eq!(arena.chunks.len(), 1);
        arena.push(&[1]);
        assert_eq!(arena.chunks.len(), 2);
    }

    #[test]
    fn pieces_of_all_sizes_are_found_where_they_were_put_also_after_a_clear() {
        let mut arena = Arena::default();
        for round in 0..3_u8 {
            let sizes = [
                1,
                1000,
                CHUNK - 1,
                2,
                CHUNK,
                CHUNK + 1,
                64,
                CHUNK / 2,
                CHUNK / 2,
                1,
            ];
            let pieces: Vec<_> = (round..)
                .zip(sizes)
                .map(|(byte, size)| vec![byte; size])
                .collect();
            let places: Vec<_> = pieces.iter().map(|piece| arena.push(piece)).collect();
            assert!(
                pieces
                    .iter()
                    .zip(&places)
                    .all(|(piece, place)| arena.get(*place) == piece)
            );
            assert_eq!(arena.len(), sizes.iter().sum::<usize>());
            arena.clear();
            assert!(arena.is_empty() && arena.chunks.len() <= KEPT_CHUNKS);
        }
    }
}
