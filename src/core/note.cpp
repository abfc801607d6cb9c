// Notes and printable text. No torch here.
#include "core/note.h"

#include <fmt/format.h>

#include <ostream>

namespace retort {

std::string printable(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0;
    const bool wide = c == 0xC2 && next >= 0x80 && next < 0xA0;
    if ((c >= 0x20 && c != 0x7F && !wide) || c == '\n' || c == '\t')
      out += text[i];
    else
      out += fmt::format("\\x{:02x}", wide ? next : c);
    if (wide) ++i;
  }
  return out;
}

void say_note(const ProgressStyle& style, const std::string& note) {
  if (!style.out || note.empty()) return;
  *style.out << (style.terminal ? "\r\033[K" : "") << "note: " << printable(note) << "\n"
             << std::flush;
}

}  // namespace retort
