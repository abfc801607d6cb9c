// NumPy's arrays of text: characters of four bytes (U) or bytes (S), of one width. No torch here.
#include <algorithm>
#include <charconv>
#include <iterator>
#include <optional>

#include "core/bytes.h"
#include "core/sizes.h"
#include "io/npy.h"
#include "io/npy_header.h"
#include "io/python_text.h"
#include "retort/core/error.h"

namespace retort {
namespace {

struct TextType {
  bool unicode, swapped;
  int64_t length;  ///< characters of a text
};

/// Reads ">U12"; nothing where the type is not of text, or of longer texts than are accepted.
std::optional<TextType> text_type(const std::string& type) {
  const bool swapped = type.starts_with(">U"), unicode = swapped || type.starts_with("<U");
  if (!unicode && !type.starts_with("|S")) return {};
  int64_t length = 0;
  const char* end = type.data() + type.size();
  const auto number = std::from_chars(type.data() + 2, end, length);
  if (number.ec != std::errc() || number.ptr != end || length < 0 || length > 65536) return {};
  return TextType{unicode, swapped, length};
}

/// One text of a unicode array, up to the first zero.
std::string decode(std::string_view raw, bool swapped, const std::string& path) {
  std::string text;
  for (size_t at = 0; at + 4 <= raw.size(); at += 4) {
    const std::string_view bytes = raw.substr(at, 4);
    const uint64_t code = swapped ? big_endian(bytes) : little_endian(bytes);
    if (code == 0) break;
    if (code > 0x10FFFF) throw DataError::damaged(path, "text holds no valid character");
    append_utf8(text, code);
  }
  return text;
}

}  // namespace

bool npy_is_text(std::string_view bytes, const std::string& path) {
  const std::string type = read_npy_header(bytes, path).type;
  return type.size() > 1 && (type[1] == 'U' || type[1] == 'S');
}

std::vector<std::string> parse_npy_strings(std::string_view bytes, const std::string& path) {
  const NpyHeader header = read_npy_header(bytes, path);
  const bool column = header.shape.size() == 2 && header.shape[1] == 1;
  const std::optional<TextType> type = text_type(header.type);
  if (!type || (header.shape.size() != 1 && !column))
    throw DataError({"reading '" + path + "'", "an array of type '" + header.type + "'",
                     "a one-dimensional array of text", "save it so, such as names.ravel()"});
  const int64_t width = type->unicode ? 4 * type->length : type->length;
  // Empty texts take no bytes, so their number is not bounded by the file.
  if (width == 0 && header.shape[0] > 65536)
    throw DataError::damaged(path, "too many empty texts", "at most 65536");
  std::vector<std::string> out(to_size(check_npy_size(header, width, path)));
  std::string_view rest = header.data;
  for (std::string& text : out) {
    const std::string_view raw = rest.substr(0, to_size(width));
    rest.remove_prefix(raw.size());
    if (type->unicode) {
      text = decode(raw, type->swapped, path);
    } else {
      for (const char32_t code : code_points(raw.substr(0, raw.find('\0'))))
        append_utf8(text, code);
    }
  }
  return out;
}

std::string npy_strings(const std::vector<std::string>& texts) {
  size_t length = 1;
  std::vector<std::u32string> wide;
  for (const std::string& text : texts) {
    wide.push_back(code_points(text));
    length = std::max(length, wide.back().size());
  }
  std::string out = npy_header_bytes("<U" + std::to_string(length), {std::ssize(texts)});
  for (std::u32string& text : wide) {
    text.resize(length);
    out.append(reinterpret_cast<const char*>(text.data()), 4 * length);
  }
  return out;
}

}  // namespace retort
