#include "cli/printable.h"

#include "core/note.h"
#include "core/sizes.h"

namespace retort::cli {

PrintableBuffer::int_type PrintableBuffer::overflow(int_type c) {
  if (traits_type::eq_int_type(c, traits_type::eof())) return traits_type::not_eof(c);
  const char one = traits_type::to_char_type(c);
  return xsputn(&one, 1) == 1 ? c : traits_type::eof();
}

std::streamsize PrintableBuffer::xsputn(const char* text, std::streamsize size) {
  std::string whole = lead_ ? "\xC2" : "";
  whole.append(text, to_size(size));
  lead_ = whole.ends_with('\xC2');
  if (lead_) whole.pop_back();
  to_ << printable(whole);
  return to_ ? size : 0;
}

int PrintableBuffer::sync() {
  to_.flush();
  return to_ ? 0 : -1;
}

std::ostream& raw(std::ostream& stream) {
  const auto* printable = dynamic_cast<PrintableStream*>(&stream);
  return printable ? printable->raw() : stream;
}

}  // namespace retort::cli
