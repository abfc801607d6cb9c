// What kills in the middle of writing leave in a folder. No torch here.
#pragma once

#include <filesystem>

namespace retort {

/// Removes the temporary files of write_atomically in a folder and in those in it, but for those
/// that a living process is writing.
void remove_leftovers_in(const std::filesystem::path& folder);

}  // namespace retort
