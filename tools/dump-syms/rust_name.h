#ifndef DUMP_SYMS_RUST_NAME_H
#define DUMP_SYMS_RUST_NAME_H

#include "lib/base/str.h"

/*
 * rust_name - Rust's mangled names in readable form.
 *
 * The older scheme, without the hash:
 *
 *     _ZN4core3fmt9Formatter3pad17h0123456789abcdefE   core::fmt::Formatter::pad
 *     _ZN54_$LT$a..B$u20$as$u20$c..D$GT$1f17h…E         <a::B as c::D>::f
 *
 * They look like C++ names; only the hash at the end tells.  The newer scheme, v0:
 *
 *     _RNvMCs2w_6adler2NtB2_7Adler3211write_slice        <adler2::Adler32>::write_slice
 *
 * Trust      Names are hostile; limits on steps, depth and size hold.
 */

/* Append the readable name.  False (nothing appended) when it is no such name. */
bool rust_name(const char *mangled, struct strbuf *out);
bool rust_v0_name(const char *mangled, struct strbuf *out);

#endif
