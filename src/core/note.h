// What is said beside the progress of long work, and text as a terminal may show it. No torch here.
#pragma once

#include <string>

#include "retort/core/progress.h"

namespace retort {

/// Control characters but tabs and ends of lines as \\x1b, those of UTF-8 (U+0080 to U+009F) too:
/// names of files and classes may hold any.
std::string printable(const std::string& text);

/// "note: NOTE" on a line of its own, where progress is shown and there is a note.
void say_note(const ProgressStyle& style, const std::string& note);

}  // namespace retort
