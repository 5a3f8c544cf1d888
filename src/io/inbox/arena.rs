//! The received bytes of a batch: chunks that are filled one after another and used again.
//!
//! The first ones are of the heap. A burst's, which come while Python stands still, are mapped and unmapped on their
//! own: an allocator with an arena for each thread keeps what the helper's filled, while the pump's fills another.

use memmap2::{MmapMut, MmapOptions};
use std::collections::TryReserveError;

/// Size of the arena's chunks in bytes. One block that grows would hold twice what it needs, and be copied each time.
const CHUNK: usize = 256 * 1024;
/// Chunks that are kept for the next batch; a burst's others are given back.
const KEPT_CHUNKS: usize = 4;
/// Chunks of the heap (4 MiB); those of a burst beyond them are mapped.
const HEAP_CHUNKS: usize = 16;

/// One block of bytes that does not move.
#[derive(Debug)]
pub enum Chunk {
    /// Of the heap.
    Heap(Vec<u8>),
    /// Mapped, and filled up to here.
    Mapped(MmapMut, usize),
}

impl Chunk {
    /// One that can hold what is wanted, unless there is no memory for it.
    pub fn new(wanted: Wanted) -> Result<Self, TryReserveError> {
        let size = CHUNK.max(wanted.len);
        // All its pages at once: one fault each would cost more than the copying.
        let mapped = || MmapOptions::new().len(size).populate().map_anon().ok();
        match wanted.mapped.then(mapped).flatten() {
            Some(memory) => Ok(Self::Mapped(memory, 0)),
            None => Self::of_heap(size).or_else(|_| Self::of_heap(wanted.len)),
        }
    }

    fn of_heap(size: usize) -> Result<Self, TryReserveError> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(size)?;
        Ok(Self::Heap(bytes))
    }

    #[cfg(test)]
    fn capacity(&self) -> usize {
        match self {
            Self::Heap(bytes) => bytes.capacity(),
            Self::Mapped(memory, _) => memory.len(),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Heap(bytes) => bytes,
            Self::Mapped(memory, filled) => &memory[..*filled],
        }
    }

    #[inline]
    fn has_room(&self, len: usize) -> bool {
        match self {
            Self::Heap(bytes) => bytes.capacity() - bytes.len() >= len,
            Self::Mapped(memory, filled) => memory.len() - filled >= len,
        }
    }

    /// Copies `bytes` in; returns where they begin.
    #[inline]
    fn push(&mut self, bytes: &[u8]) -> usize {
        match self {
            Self::Heap(filled) => {
                let start = filled.len();
                filled.extend_from_slice(bytes);
                start
            }
            Self::Mapped(memory, filled) => {
                let start = *filled;
                memory[start..start + bytes.len()].copy_from_slice(bytes);
                *filled += bytes.len();
                start
            }
        }
    }

    fn clear(&mut self) {
        match self {
            Self::Heap(bytes) => bytes.clear(),
            Self::Mapped(_, filled) => *filled = 0,
        }
    }
}

/// A chunk that an arena needs before it can take more.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    len: usize,
    mapped: bool,
}

/// Where bytes lie in an [`Arena`].
#[derive(Debug, Clone, Copy)]
pub struct ByteRange {
    chunk: usize,
    start: usize,
    len: usize,
}

impl ByteRange {
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
    chunks: Vec<Chunk>,
    /// The chunk that is being filled.
    filling: usize,
    /// Chunks that were given back while the batch was read, and the kept ones before them.
    given_back: usize,
    len: usize,
}

impl Arena {
    /// The chunk to be [added](Arena::add) before `len` bytes can be pushed. Whoever holds a lock on the arena makes it
    /// elsewhere. None: there is room.
    #[inline]
    pub fn wanted(&self, len: usize) -> Option<Wanted> {
        let mut next = self.chunks[self.filling.min(self.chunks.len())..].iter();
        let has_room = |chunk: &Chunk| chunk.has_room(len);
        let found = next.next().is_some_and(has_room) || next.next().is_some_and(has_room);
        let mapped = self.filling + 1 >= HEAP_CHUNKS;
        (!found).then_some(Wanted { len, mapped })
    }

    /// Adds a chunk behind the one that is being filled.
    pub fn add(&mut self, chunk: Chunk) {
        let place = self.chunks.len().min(self.filling + 1);
        self.chunks.insert(place, chunk);
    }

    /// Copies `bytes` in, for which there must be room.
    #[inline]
    pub fn push(&mut self, bytes: &[u8]) -> ByteRange {
        let len = bytes.len();
        if !self.chunks[self.filling].has_room(len) {
            self.filling += 1;
        }
        let chunk = &mut self.chunks[self.filling];
        let start = chunk.push(bytes);
        self.len += len;
        ByteRange {
            chunk: self.filling,
            start,
            len,
        }
    }

    /// The bytes of `place`.
    pub fn get(&self, place: ByteRange) -> &[u8] {
        &self.chunks[place.chunk].bytes()[place.start..place.start + place.len]
    }

    /// The reader has come to `place`: what lies in the chunks before it is not asked for again.
    ///
    /// A burst's chunks are given back here and not when all is read, since what was read no longer counts against
    /// the memory limit, and as much may be received meanwhile.
    pub fn give_back_before(&mut self, place: ByteRange) {
        let from = self.given_back.max(KEPT_CHUNKS);
        if let Some(read) = self.chunks.get_mut(from..place.chunk) {
            read.fill_with(|| Chunk::Heap(Vec::new()));
            self.given_back = place.chunk;
        }
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
        self.chunks.iter_mut().for_each(Chunk::clear);
        (self.filling, self.given_back, self.len) = (0, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::{Arena, ByteRange, CHUNK, Chunk, HEAP_CHUNKS, KEPT_CHUNKS};

    fn push(arena: &mut Arena, bytes: &[u8]) -> ByteRange {
        while let Some(wanted) = arena.wanted(bytes.len()) {
            arena.add(Chunk::new(wanted).unwrap());
        }
        arena.push(bytes)
    }

    #[test]
    fn chunks_that_were_read_are_given_back_while_the_rest_is_read() {
        let mut arena = Arena::default();
        let places: Vec<_> = (0..20_u8)
            .map(|byte| push(&mut arena, &[byte; CHUNK]))
            .collect();
        let mapped = |chunk: &&Chunk| matches!(chunk, Chunk::Mapped(..));
        assert_eq!(arena.chunks.iter().filter(mapped).count(), 20 - HEAP_CHUNKS);
        for (byte, place) in (0_u8..).zip(&places) {
            arena.give_back_before(*place);
            assert_eq!(arena.get(*place), [byte; CHUNK]);
            let held: usize = arena.chunks.iter().map(Chunk::capacity).sum();
            assert_eq!(
                held / CHUNK,
                places.len() - usize::from(byte).saturating_sub(KEPT_CHUNKS)
            );
        }
        arena.clear();
        assert_eq!(
            arena.chunks.iter().map(Chunk::capacity).sum::<usize>(),
            KEPT_CHUNKS * CHUNK
        );
    }

    #[test]
    fn a_chunk_is_filled_to_its_last_byte() {
        let mut arena = Arena::default();
        for _ in 0..4 {
            push(&mut arena, &[1; CHUNK / 4]);
        }
        assert_eq!(arena.chunks.len(), 1);
        push(&mut arena, &[1]);
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
            let places: Vec<_> = pieces.iter().map(|piece| push(&mut arena, piece)).collect();
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
