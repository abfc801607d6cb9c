// What reaches the terminal: names of files and classes may hold control characters, which would
// move its cursor, clear it or change its title.
#pragma once

#include <ostream>
#include <streambuf>
#include <string>

namespace retort::cli {

/// Passes text on to another stream with control characters, but for tabs and ends of lines, as
/// \x1b.
class PrintableBuffer : public std::streambuf {
 public:
  explicit PrintableBuffer(std::ostream& to) : to_(to) {}

 protected:
  int_type overflow(int_type c) override;
  std::streamsize xsputn(const char* text, std::streamsize size) override;
  int sync() override;

 private:
  std::ostream& to_;
  bool lead_ = false;  ///< a byte C2 came last: with 80 to 9F it is a control character in UTF-8
};

class PrintableStream : public std::ostream {
 public:
  explicit PrintableStream(std::ostream& to) : std::ostream(nullptr), buffer_(to), to_(to) {
    rdbuf(&buffer_);
  }
  std::ostream& raw() const { return to_; }

 private:
  PrintableBuffer buffer_;
  std::ostream& to_;
};

/// Takes everything and passes on nothing.
class SilentBuffer : public std::streambuf {
 protected:
  int_type overflow(int_type c) override { return traits_type::not_eof(c); }
  std::streamsize xsputn(const char*, std::streamsize size) override { return size; }
};

/// The stream behind a PrintableStream, for progress bars, which move the cursor themselves.
std::ostream& raw(std::ostream& stream);

}  // namespace retort::cli
