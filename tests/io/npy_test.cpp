// .npy arrays: values by hand, every truncation, and headers that lie.
#include "io/npy.h"

#include <cstring>

#include "retort/core/error.h"
#include "support/support.h"

namespace retort {
namespace {

using namespace std::string_literals;

/// A version 1 file with this header dictionary and data.
std::string npy(const std::string& header, const std::string& data) {
  std::string out = "\x93NUMPY\x01\x00"s;
  out += static_cast<char>(header.size() & 0xFF);
  out += static_cast<char>(header.size() >> 8);
  return out + header + data;
}

std::string header(const std::string& type, const std::string& shape,
                   const std::string& fortran = "False") {
  return "{'descr': '" + type + "', 'fortran_order': " + fortran + ", 'shape': " + shape + ", }\n";
}

template <class T>
std::vector<T> values(const NpyArray& array) {
  std::vector<T> out(array.data.size() / sizeof(T));
  std::memcpy(out.data(), array.data.data(), array.data.size());
  return out;
}

TEST(Npy, GoesOutAndIn) {
  const std::vector<float> data = {1, 2, 3, 4, 5, 6};
  const std::string bytes =
      npy_bytes(DType::kF32, {2, 3}, {reinterpret_cast<const char*>(data.data()), 24});
  EXPECT_EQ((bytes.size() - 24) % 64, 0u);
  const NpyArray array = parse_npy(bytes, "a.npy");
  EXPECT_EQ(array.dtype, DType::kF32);
  EXPECT_EQ(array.shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(values<float>(array), data);
  EXPECT_EQ(parse_npy(npy_bytes(DType::kI64, {}, "12345678"), "a").shape.size(), 0u);
  EXPECT_EQ(parse_npy(npy_bytes(DType::kU8, {3}, "abc"), "a").data, "abc");
}

TEST(Npy, ReordersFortranArrays) {
  const NpyArray array = parse_npy(npy(header("|u1", "(2, 3)", "True"), "adbecf"), "a.npy");
  EXPECT_EQ(array.data, "abcdef");
  const NpyArray copy = array;
  EXPECT_EQ(copy.data.data(), array.data.data());
}

TEST(Npy, WidensUnsignedIntegers) {
  EXPECT_EQ(values<int32_t>(parse_npy(npy(header("<u2", "(1,)"), "\xff\xff"), "a"))[0], 65535);
  EXPECT_EQ(values<int64_t>(parse_npy(npy(header("<u4", "(1L,)"), "\xff\xff\xff\xff"), "a"))[0],
            4294967295);
  EXPECT_EQ(values<int64_t>(parse_npy(npy(header("<u8", "(1,)"), "\5\0\0\0\0\0\0\0"s), "a"))[0], 5);
}

TEST(Npy, SwapsBigEndianNumbers) {
  EXPECT_EQ(
      values<int32_t>(parse_npy(npy(header(">i4", "(2,)"), "\0\0\1\2\xff\xff\xff\xff"s), "a")),
      (std::vector<int32_t>{258, -1}));
  EXPECT_EQ(values<float>(parse_npy(npy(header(">f4", "(1,)"), "\x3f\x80\0\0"s), "a"))[0], 1.0f);
  EXPECT_EQ(values<int32_t>(parse_npy(npy(header(">u2", "(1,)"), "\1\2"), "a"))[0], 258);
}

TEST(Npy, ReadsVersion2AndEmptyArrays) {
  const std::string text = header("|b1", "(0, 4)");
  std::string bytes = "\x93NUMPY\x02\x00"s;
  bytes += static_cast<char>(text.size());
  bytes += "\0\0\0"s + text;
  EXPECT_EQ(parse_npy(bytes, "a").shape[1], 4);
}

TEST(Npy, TextsGoOutAndIn) {
  const std::vector<std::string> texts = {"cat", "", "h\303\251\342\202\254\360\237\230\200"};
  EXPECT_EQ(parse_npy_strings(npy_strings(texts), "a"), texts);
  EXPECT_EQ(parse_npy_strings(npy_strings({}), "a").size(), 0u);
  EXPECT_EQ(parse_npy_strings(npy(header("|S3", "(2,)"), "abcd\0\0"s), "a"),
            (std::vector<std::string>{"abc", "d"}));
  EXPECT_EQ(parse_npy_strings(npy(header("|S3", "(2,)"), "h\303\251h\351\0"s), "a"),
            (std::vector<std::string>{"h\303\251", "h\303\251"}));  // UTF-8, Latin-1
}

TEST(Npy, RefusesEveryTruncation) {
  const std::string number = npy_bytes(DType::kI16, {3}, "abcdef");
  const std::string text = npy_strings({"a", "bc"});
  for (size_t size = 0; size < number.size(); ++size)
    EXPECT_THROW(parse_npy(number.substr(0, size), "a.npy"), DataError) << size;
  for (size_t size = 0; size < text.size(); ++size)
    EXPECT_THROW(parse_npy_strings(text.substr(0, size), "a.npy"), DataError) << size;
}

TEST(Npy, RefusesWhatItCannotUse) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"plain text, no array", "does not start"},
      {"\x93NUMPY\x07\x00\x01\x00x"s, "version 7"},
      {npy(header("=f4", "(1,)"), "abcd"), "'=f4'"},
      {npy(header("<f4x", "(1,)"), "abcd"), "'<f4x'"},
      {npy(header("<c8", "(1,)"), "abcdefgh"), "'<c8'"},
      {npy(header("|O", "(1,)"), "abcd"), "'|O'"},
      {npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", "abcd"),
       "structured"},
      {npy(header("<f4", "(-1,)"), "abcd"), "not a number from 0 on"},
      {npy(header("<f4", "(99999999999999999999,)"), "abcd"), "not a number"},
      {npy(header("<f4", "(4294967296, 4294967296, 4294967296)"), "abcd"), "overflow"},
      {npy(header("<f4", "(2,)"), "abcd"), "4 bytes"},
      {npy(header("<f4", "(1,)"), "abcdefgh"), "8 bytes"},
      {npy(header("<f4", "(1,)", "Maybe"), "abcd"), "neither True nor False"},
      {npy("{'descr': '<f4', 'shape': (1,)}", "abcd"), "missing"},
      {npy("{'descr': '<f4', 'color': 3}", "abcd"), "unknown key 'color'"},
      {npy("{'descr': '<f4", "abcd"), "without an end"},
      {npy(header("<u8", "(1,)"), "\xff\xff\xff\xff\xff\xff\xff\xff"), "64 signed bits"},
  };
  for (const auto& [bytes, text] : cases)
    tests::expect_error<DataError>([&, &file = bytes] { parse_npy(file, "bad.npy"); },
                                   {"bad.npy", text});
  tests::expect_error<DataError>(
      [&] { parse_npy_strings(npy(header("<U0", "(99999999999,)"), ""), "bad.npy"); },
      {"too many"});
  for (const char* type : {"<U99999999999999999999", "|S99999999999999999999", "<U"})
    tests::expect_error<DataError>(
        [&] { parse_npy_strings(npy(header(type, "(1,)"), ""), "bad.npy"); },
        {"bad.npy", std::string("'") + type + "'"});
  tests::expect_error<DataError>([&] { npy_bytes(DType::kBF16, {1}, "ab"); }, {"BF16"});
}

}  // namespace
}  // namespace retort
