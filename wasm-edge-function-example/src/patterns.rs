//! Ways to do what edge functions are mostly asked to do, one per file, each to be copied alone.

mod ab_test;
mod cache_aside;
mod error_page;
mod fan_out;
mod geo_header;
mod hit_counter;
mod rate_limit;
mod rewrite_html;
mod stale_if_error;
mod token_check;
