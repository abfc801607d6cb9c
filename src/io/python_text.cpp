// UTF-8, Latin-1 and Python's escapes. No torch here.
#include "io/python_text.h"

#include <charconv>

namespace retort {
namespace {

constexpr uint32_t kCodes = 0x110000;

/// All of `digits` as a hexadecimal number.
std::optional<uint32_t> hexadecimal(std::string_view digits, size_t width) {
  uint32_t value = 0;
  const char* end = digits.data() + digits.size();
  const auto result = std::from_chars(digits.data(), end, value, 16);
  if (digits.size() != width || result.ec != std::errc() || result.ptr != end) return {};
  return value;
}

}  // namespace

void append_utf8(std::string& out, uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
    return;
  }
  const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  constexpr uint32_t kLead[] = {0, 0xC0, 0xE0, 0xF0};
  out += static_cast<char>(kLead[more] | code >> (6 * more));
  for (int i = more - 1; i >= 0; --i) out += static_cast<char>(0x80 | (code >> (6 * i) & 0x3F));
}

std::u32string code_points(std::string_view text) {
  std::u32string out;
  for (size_t i = 0; i < text.size();) {
    const auto c = static_cast<uint8_t>(text[i]);
    const size_t more = c >= 0xF8 ? 0 : c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : c >= 0xC0 ? 1 : 0;
    char32_t code = more == 0 ? c : c & (0x3Fu >> more);
    bool whole = i + more < text.size();
    for (size_t k = 1; whole && k <= more; ++k) {
      const auto next = static_cast<uint8_t>(text[i + k]);
      whole = (next & 0xC0) == 0x80;
      code = code << 6 | (next & 0x3Fu);
    }
    whole = whole && code < kCodes;
    out += whole ? code : char32_t{c};
    i += whole ? more + 1 : 1;
  }
  return out;
}

std::optional<std::string> utf8_to_latin1(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<uint8_t>(text[i]);
    if (c < 0x80) {
      out += text[i];
    } else if ((c == 0xC2 || c == 0xC3) && i + 1 < text.size()) {
      out += static_cast<char>((c & 3) << 6 | (text[++i] & 0x3F));
    } else {
      return {};
    }
  }
  return out;
}

std::optional<std::string> decode_repr(std::string_view quoted) {
  if (quoted.size() < 2 || quoted.front() != quoted.back()) return {};
  if (quoted[0] != '\'' && quoted[0] != '"') return {};
  const std::string_view body = quoted.substr(1, quoted.size() - 2);
  std::string out;
  for (size_t i = 0; i < body.size(); ++i) {
    if (body[i] != '\\') {
      out += body[i];
    } else if (++i == body.size()) {
      return {};
    } else if (body[i] == 'x') {
      const auto code = hexadecimal(body.substr(i + 1, 2), 2);
      if (!code) return {};
      out += static_cast<char>(*code);
      i += 2;
    } else {
      out += body[i] == 'n' ? '\n' : body[i] == 'r' ? '\r' : body[i] == 't' ? '\t' : body[i];
    }
  }
  return out;
}

std::optional<std::string> decode_raw_unicode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const char kind = text[i] == '\\' && i + 1 < text.size() ? text[i + 1] : '\0';
    if (kind != 'u' && kind != 'U') {
      append_utf8(out, static_cast<uint8_t>(text[i]));
      continue;
    }
    const size_t width = kind == 'u' ? 4 : 8;
    const auto code = hexadecimal(text.substr(i + 2, width), width);
    if (!code || *code >= kCodes) return {};
    append_utf8(out, *code);
    i += 1 + width;
  }
  return out;
}

}  // namespace retort
