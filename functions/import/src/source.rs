//! Where rows are read from: a file in the bucket, piece by piece, or what came with the request.

use bytes::Bytes;
use maedal::import::{Import, Source};
use maedal::store::StoreError;
use object_store::path::Path;
use object_store::{Error, GetOptions, ObjectStore, ObjectStoreExt};

use crate::App;

/// How much of a file one read brings. No row comes near it.
const PIECE: u64 = 1024 * 1024;

/// What a look at the source came to.
pub(crate) enum Found {
    /// It is there, so long and in this version.
    Begun {
        /// In bytes.
        size: u64,
        /// S3's name of the version; none for rows that came with the request.
        etag: Option<String>,
    },
    /// What begins at the import's place.
    Chunk(Chunk),
    /// Nothing is left.
    End,
    /// It can't be read, and never will be.
    Unusable(String),
}

/// A piece of the source.
pub(crate) struct Chunk {
    /// It begins with a line.
    pub(crate) bytes: Bytes,
    /// It ends with the source.
    pub(crate) last: bool,
}

/// A source that can't be read now.
#[derive(Debug)]
pub(crate) enum SourceError {
    Store(StoreError),
    Bucket(Box<Error>),
}

impl std::fmt::Display for SourceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Bucket(error) => write!(f, "could not read the import bucket: {error}"),
        }
    }
}

/// Reads on at the import's place; at first only whether there is anything.
pub(crate) async fn read(app: &App, import: &Import) -> Result<Found, SourceError> {
    if import.size.is_some_and(|size| import.offset >= size) {
        return Ok(Found::End);
    }
    match &import.source {
        Source::Request => {
            let text = app.billing.store.import_rows(import.id).await.map_err(SourceError::Store)?;
            let Some(text) = text else {
                return Ok(Found::Unusable("the rows that came with the request are gone".to_owned()));
            };
            let text = Bytes::from(text);
            Ok(match usize::try_from(import.offset).ok().filter(|_| import.size.is_some()) {
                Some(offset) if offset < text.len() => Found::Chunk(Chunk { bytes: text.slice(offset..), last: true }),
                Some(_) => Found::End,
                None => Found::Begun { size: text.len() as u64, etag: None },
            })
        }
        Source::File(key) => file(app.bucket.as_ref(), key, import).await,
    }
}

async fn file(bucket: &dyn ObjectStore, key: &str, import: &Import) -> Result<Found, SourceError> {
    let Ok(path) = Path::parse(key) else {
        return Ok(Found::Unusable("this can't be the key of a file".to_owned()));
    };
    let Some(size) = import.size else {
        return match bucket.head(&path).await {
            Ok(meta) => Ok(Found::Begun { size: meta.size, etag: meta.e_tag }),
            Err(error) => unusable(error),
        };
    };
    let end = size.min(import.offset + PIECE);
    let options = GetOptions { if_match: import.etag.clone(), ..GetOptions::new() };
    let piece = match bucket.get_opts(&path, options.with_range(Some(import.offset..end))).await {
        Ok(piece) => piece.bytes().await,
        Err(error) => Err(error),
    };
    match piece {
        Ok(bytes) => Ok(Found::Chunk(Chunk { bytes, last: end == size })),
        Err(error) => unusable(error),
    }
}

/// Whether it is worth another try.
fn unusable(error: Error) -> Result<Found, SourceError> {
    match error {
        // Who may not list a bucket is told of a missing file in the same words as of one that may not be read.
        Error::NotFound { .. } | Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
            Ok(Found::Unusable("there is no such file in the import bucket".to_owned()))
        }
        Error::Precondition { .. } => Ok(Found::Unusable(
            "the file was changed meanwhile. Import it again: rows that were accepted are known".to_owned(),
        )),
        error => Err(SourceError::Bucket(Box::new(error))),
    }
}
