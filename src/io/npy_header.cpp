// A magic word, a version, and a Python dictionary in text. No torch here.
#include "io/npy_header.h"

#include <cctype>
#include <charconv>
#include <iterator>

#include "core/bytes.h"
#include "core/sizes.h"
#include "retort/core/error.h"

namespace retort {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kMostDimensions = 32;

/// Reads the dictionary {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& path) : text_(text), path_(path) {}

  NpyHeader parse() {
    expect('{');
    while (peek() != '}') {
      const std::string key = quoted();
      expect(':');
      if (key == "descr")
        header_.type = quoted();
      else if (key == "fortran_order")
        header_.fortran = truth();
      else if (key == "shape")
        shape();
      else
        fail("an unknown key '" + key + "'");
      ++keys_;
      if (peek() == ',') ++at_;
    }
    if (keys_ != 3 || header_.type.empty()) fail("keys that are missing or repeated");
    return header_;
  }

 private:
  [[noreturn]] void fail(const std::string& found) const {
    throw DataError::damaged(path_, "its array header has " + found,
                             "a .npy array of numbers with descr, fortran_order and shape");
  }
  char peek() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
    if (at_ == text_.size()) fail("no end");
    return text_[at_];
  }
  void expect(char c) {
    if (peek() != c) fail(std::string("no '") + c + "' where it is needed");
    ++at_;
  }
  std::string quoted() {
    const char quote = peek();
    if (quote == '[')
      throw DataError({"reading '" + path_ + "'", "a structured array", "an array of numbers",
                       "save each field as an array of its own"});
    if (quote != '\'' && quote != '"') fail("an unknown type");
    const size_t end = text_.find(quote, ++at_);
    if (end == std::string_view::npos) fail("text without an end");
    const std::string out(text_.substr(at_, end - at_));
    at_ = end + 1;
    return out;
  }
  bool truth() {
    peek();
    for (const std::string_view word : {"True", "False"}) {
      if (text_.substr(at_, word.size()) != word) continue;
      at_ += word.size();
      return word == "True";
    }
    fail("a fortran_order that is neither True nor False");
  }
  void shape() {
    expect('(');
    header_.shape.clear();
    while (peek() != ')') {
      int64_t size = -1;
      const char* from = text_.data() + at_;
      const auto result = std::from_chars(from, text_.data() + text_.size(), size);
      if (result.ec != std::errc() || size < 0) fail("a size that is not a number from 0 on");
      if (header_.shape.size() == kMostDimensions) fail("too many dimensions");
      header_.shape.push_back(size);
      at_ += to_size(result.ptr - from);
      if (peek() == 'L') ++at_;  // Python 2's long
      if (peek() == ',') ++at_;
    }
    expect(')');
  }

  std::string_view text_;
  const std::string& path_;
  size_t at_ = 0;
  int keys_ = 0;
  NpyHeader header_;
};

}  // namespace

NpyHeader read_npy_header(std::string_view bytes, const std::string& path) {
  if (bytes.size() < 10 || bytes.substr(0, kMagic.size()) != kMagic)
    throw DataError::damaged(path, "it does not start as a .npy array", "a .npy array");
  const int version = static_cast<unsigned char>(bytes[6]);
  if (version < 1 || version > 3)
    throw DataError::damaged(path, ".npy version " + std::to_string(version), "versions 1 to 3");
  const size_t width = version == 1 ? 2 : 4;
  if (bytes.size() < 8 + width) throw DataError::damaged(path, "it ends inside its header");
  const uint64_t size = little_endian(bytes.substr(8, width));
  if (size > bytes.size() - 8 - width) throw DataError::damaged(path, "it ends inside its header");
  NpyHeader header = HeaderParser(bytes.substr(8 + width, size), path).parse();
  header.data = bytes.substr(8 + width + size);
  return header;
}

int64_t check_npy_size(const NpyHeader& header, int64_t width, const std::string& path) {
  int64_t count = 1, total = 0;
  bool overflow = false;
  for (const int64_t size : header.shape) overflow |= __builtin_mul_overflow(count, size, &count);
  overflow |= __builtin_mul_overflow(count, width, &total);
  // A zero hides an overflow of the other sizes; no reader wants such an array either way.
  if (overflow) throw DataError::damaged(path, "its array header has sizes that overflow");
  if (total != std::ssize(header.data))
    throw DataError::wrong_size(path, std::ssize(header.data), total, "its array");
  return count;
}

std::string npy_header_bytes(const std::string& type, const std::vector<int64_t>& shape) {
  std::string text = "{'descr': '" + type + "', 'fortran_order': False, 'shape': (";
  for (size_t i = 0; i < shape.size(); ++i)
    text += std::to_string(shape[i]) + (shape.size() == 1 ? "," : i + 1 < shape.size() ? ", " : "");
  text += "), }";
  text.append(63 - (10 + text.size()) % 64, ' ');
  text += '\n';
  std::string out(kMagic);
  out += {'\x01', '\0', static_cast<char>(text.size() & 0xFF), static_cast<char>(text.size() >> 8)};
  return out + text;
}

}  // namespace retort
