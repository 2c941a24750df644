//! Record batch v2: header views, building, validation and compression.
