// NumPy's .npy: a magic word, a header that is a Python dictionary in text, raw numbers.
// No torch here.
#include "io/npy.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstring>

#include "io/npy_size.h"
#include "io/python_text.h"
#include "retort/core/error.h"

namespace retort {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kMostDimensions = 32;

/// What the header says.
struct Header {
  std::string type;  ///< "<f4"
  bool fortran = false;
  std::vector<int64_t> shape;
  std::string_view data;
};

/// Reads the dictionary {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& path) : text_(text), path_(path) {}

  Header parse() {
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
      at_ += static_cast<size_t>(result.ptr - from);
      if (peek() == 'L') ++at_;  // Python 2's long
      if (peek() == ',') ++at_;
    }
    expect(')');
  }

  std::string_view text_;
  const std::string& path_;
  size_t at_ = 0;
  int keys_ = 0;
  Header header_;
};

Header read_header(std::string_view bytes, const std::string& path) {
  if (bytes.size() < 10 || bytes.substr(0, kMagic.size()) != kMagic)
    throw DataError::damaged(path, "it does not start as a .npy array", "a .npy array");
  const int version = static_cast<unsigned char>(bytes[6]);
  if (version < 1 || version > 3)
    throw DataError::damaged(path, ".npy version " + std::to_string(version), "versions 1 to 3");
  const size_t width = version == 1 ? 2 : 4;
  uint64_t size = 0;
  if (bytes.size() < 8 + width) throw DataError::damaged(path, "it ends inside its header");
  for (size_t i = 0; i < width; ++i)
    size |= static_cast<uint64_t>(static_cast<uint8_t>(bytes[8 + i])) << (8 * i);
  if (size > bytes.size() - 8 - width) throw DataError::damaged(path, "it ends inside its header");
  Header header = HeaderParser(bytes.substr(8 + width, size), path).parse();
  header.data = bytes.substr(8 + width + size);
  return header;
}

/// Checks that the data are exactly the shape's elements of `width` bytes; returns their number.
int64_t check_size(const Header& header, int64_t width, const std::string& path) {
  int64_t count = 1, total = 0;
  bool overflow = false;
  for (const int64_t size : header.shape) overflow |= __builtin_mul_overflow(count, size, &count);
  overflow |= __builtin_mul_overflow(count, width, &total);
  // A zero hides an overflow of the other sizes; no reader wants such an array either way.
  if (overflow) throw DataError::damaged(path, "its array header has sizes that overflow");
  if (static_cast<uint64_t>(total) != header.data.size())
    throw DataError::wrong_size(path, static_cast<long long>(header.data.size()), total,
                                "its array");
  return count;
}

/// Elements of Fortran order in C order.
std::string to_c_order(const Header& header, size_t width, int64_t count) {
  std::string out(header.data.size(), '\0');
  const std::vector<int64_t>& shape = header.shape;
  std::vector<int64_t> index(shape.size(), 0), stride(shape.size(), 1);
  for (size_t d = 1; d < shape.size(); ++d) stride[d] = stride[d - 1] * shape[d - 1];
  int64_t source = 0;
  for (int64_t i = 0; i < count; ++i) {
    std::memcpy(out.data() + static_cast<size_t>(i) * width,
                header.data.data() + static_cast<size_t>(source) * width, width);
    for (size_t d = shape.size(); d-- > 0;) {
      source += stride[d];
      if (++index[d] < shape[d]) break;
      source -= stride[d] * shape[d];
      index[d] = 0;
    }
  }
  return out;
}

template <class From, class To>
std::string widen(std::string_view data, const std::string& path) {
  std::string out(data.size() / sizeof(From) * sizeof(To), '\0');
  for (size_t i = 0; i < data.size() / sizeof(From); ++i) {
    From from;
    std::memcpy(&from, data.data() + i * sizeof(From), sizeof(From));
    const To to = static_cast<To>(from);
    if (to < 0) throw DataError::damaged(path, "a number beyond 64 signed bits");
    std::memcpy(out.data() + i * sizeof(To), &to, sizeof(To));
  }
  return out;
}

struct TypeRow {
  std::string_view code;
  DType dtype;
};
constexpr TypeRow kTypes[] = {{"b1", DType::kBool}, {"u1", DType::kU8},  {"i1", DType::kI8},
                              {"i2", DType::kI16},  {"i4", DType::kI32}, {"i8", DType::kI64},
                              {"f2", DType::kF16},  {"f4", DType::kF32}, {"f8", DType::kF64}};

[[noreturn]] void refuse_type(const std::string& type, const std::string& path) {
  const bool objects = type.find('O') != std::string::npos;
  throw DataError({"reading '" + path + "'",
                   objects ? "an array of Python objects (type '" + type + "')"
                           : "an array of type '" + type + "'",
                   "integers, floats of 2 to 8 bytes, or bool",
                   objects ? "save plain numbers or texts: np.stack(images), or labels.astype(str)"
                           : "convert it in NumPy, such as array.astype('uint8') for images and "
                             "array.astype('int64') for labels"});
}

/// Elements with their bytes in the other order.
std::string swapped(std::string_view data, size_t width) {
  std::string out(data);
  for (size_t at = 0; at + width <= out.size(); at += width)
    std::reverse(out.begin() + static_cast<std::ptrdiff_t>(at),
                 out.begin() + static_cast<std::ptrdiff_t>(at + width));
  return out;
}

/// Version 1.0 header, padded to a multiple of 64 bytes.
std::string header_bytes(const std::string& type, const std::vector<int64_t>& shape) {
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

}  // namespace

NpyArray parse_npy(std::string_view bytes, const std::string& path) {
  const Header header = read_header(bytes, path);
  if (header.type.size() != 3 || std::string_view("<|>").find(header.type[0]) == std::string::npos)
    refuse_type(header.type, path);
  const std::string code = header.type.substr(1);
  const size_t width = static_cast<size_t>(code[1] - '0');
  const auto row = std::find_if(std::begin(kTypes), std::end(kTypes),
                                [&](const TypeRow& type) { return type.code == code; });
  const bool wide_unsigned = code == "u2" || code == "u4" || code == "u8";
  if (row == std::end(kTypes) && !wide_unsigned) refuse_type(header.type, path);
  const int64_t count = check_size(header, static_cast<int64_t>(width), path);

  NpyArray array;
  array.shape = header.shape;
  array.data = header.data;
  const auto own = [&](std::string copy) {
    array.owned = std::make_shared<const std::string>(std::move(copy));
    array.data = *array.owned;
  };
  if (header.fortran && header.shape.size() > 1) own(to_c_order(header, width, count));
  if (header.type[0] == '>') own(swapped(array.data, width));
  if (row != std::end(kTypes)) array.dtype = row->dtype;
  if (wide_unsigned) array.dtype = code == "u2" ? DType::kI32 : DType::kI64;
  if (code == "u2") own(widen<uint16_t, int32_t>(array.data, path));
  if (code == "u4") own(widen<uint32_t, int64_t>(array.data, path));
  if (code == "u8") own(widen<uint64_t, int64_t>(array.data, path));
  return array;
}

uint64_t npy_size(std::string_view start, const std::string& path) {
  const Header header = read_header(start, path);
  const size_t digits = header.type.find_first_of("0123456789");
  uint64_t width = 0;
  const char* end = header.type.data() + header.type.size();
  if (digits == std::string::npos) return 0;
  if (std::from_chars(header.type.data() + digits, end, width).ec != std::errc() || width > 1 << 20)
    refuse_type(header.type, path);
  if (header.type.find('U') != std::string::npos) width *= 4;  // characters
  uint64_t total = width;
  bool overflow = false;
  for (const int64_t size : header.shape)
    overflow |= __builtin_mul_overflow(total, static_cast<uint64_t>(size), &total);
  if (overflow || total > uint64_t{1} << 60)
    throw DataError::damaged(path, "its array header has sizes that overflow");
  return total + static_cast<uint64_t>(header.data.data() - start.data());
}

std::string npy_bytes(DType dtype, const std::vector<int64_t>& shape, std::string_view data) {
  const auto row = std::find_if(std::begin(kTypes), std::end(kTypes),
                                [&](const TypeRow& type) { return type.dtype == dtype; });
  if (row == std::end(kTypes))
    throw DataError({"writing a .npy array", "numbers of type " + std::string(dtype_name(dtype)),
                     "types that NumPy has", "convert them to float32"});
  const std::string order = dtype_size(dtype) == 1 ? "|" : "<";
  return header_bytes(order + std::string(row->code), shape).append(data);
}

bool npy_is_text(std::string_view bytes, const std::string& path) {
  const std::string type = read_header(bytes, path).type;
  return type.size() > 1 && (type[1] == 'U' || type[1] == 'S');
}

std::vector<std::string> parse_npy_strings(std::string_view bytes, const std::string& path) {
  const Header header = read_header(bytes, path);
  const bool swap = header.type.rfind(">U", 0) == 0;
  const bool unicode = swap || header.type.rfind("<U", 0) == 0;
  const bool column = header.shape.size() == 2 && header.shape[1] == 1;
  int64_t length = 0;
  const char* end = header.type.data() + header.type.size();
  const auto number =
      std::from_chars(header.type.data() + std::min<size_t>(2, header.type.size()), end, length);
  if ((!unicode && header.type.rfind("|S", 0) != 0) || (header.shape.size() != 1 && !column) ||
      number.ec != std::errc() || number.ptr != end || length < 0 || length > 65536)
    throw DataError({"reading '" + path + "'", "an array of type '" + header.type + "'",
                     "a one-dimensional array of text", "save it so, such as names.ravel()"});
  const int64_t width = unicode ? 4 * length : length;
  // Empty texts take no bytes, so their number is not bounded by the file.
  if (width == 0 && header.shape[0] > 65536)
    throw DataError::damaged(path, "too many empty texts", "at most 65536");
  const int64_t count = check_size(header, width, path);
  std::vector<std::string> out(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    const std::string_view raw =
        header.data.substr(static_cast<size_t>(i * width), static_cast<size_t>(width));
    std::string& text = out[i];
    if (!unicode) {
      for (const char32_t code : code_points(raw.substr(0, raw.find('\0'))))
        append_utf8(text, code);
      continue;
    }
    for (size_t at = 0; at + 4 <= raw.size(); at += 4) {
      uint32_t code = 0;
      std::memcpy(&code, raw.data() + at, 4);
      if (swap) code = __builtin_bswap32(code);
      if (code == 0) break;
      if (code > 0x10FFFF) throw DataError::damaged(path, "text holds no valid character");
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
  std::string out =
      header_bytes("<U" + std::to_string(length), {static_cast<int64_t>(texts.size())});
  for (std::u32string& text : wide) {
    text.resize(length);
    out.append(reinterpret_cast<const char*>(text.data()), 4 * length);
  }
  return out;
}

}  // namespace retort
