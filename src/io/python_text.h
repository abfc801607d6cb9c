// Text as Python writes it in pickles and arrays. No torch here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace retort {

/// Appends a code point below 0x110000.
void append_utf8(std::string& out, uint32_t code);
/// Code points of UTF-8; bytes that are not UTF-8 stand for themselves.
std::u32string code_points(std::string_view text);
/// UTF-8 of code points below 256 as single bytes; nothing where it has others.
std::optional<std::string> utf8_to_latin1(std::string_view text);
/// A Python 2 str between its quotes, as repr writes it; nothing where it is malformed.
std::optional<std::string> decode_repr(std::string_view quoted);
/// Latin-1 with \u and \U escapes (protocol 0's unicode) as UTF-8; nothing where it is malformed.
std::optional<std::string> decode_raw_unicode(std::string_view text);

}  // namespace retort
