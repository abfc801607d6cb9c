// What tests share: a folder that cleans itself up, the real data, and error matching.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "support/temp_folder.h"

namespace retort::tests {

inline std::string read_text(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

/// The unpacked real data (RETORT_DATA), or empty.
inline std::filesystem::path real_data() {
  const char* folder = std::getenv("RETORT_DATA");
  return folder ? folder : "";
}

/// Runs `call`, expects an error of type E whose message holds every one of `parts`.
template <class E, class Call>
void expect_error(Call&& call, const std::vector<std::string>& parts) {
  try {
    call();
    ADD_FAILURE() << "no error was thrown";
  } catch (const E& error) {
    for (const std::string& part : parts)
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos)
          << "message: " << error.what() << "\nlacks: " << part;
  } catch (const std::exception& other) {
    ADD_FAILURE() << "another error: " << other.what();
  }
}

}  // namespace retort::tests

/// Skips the test, saying why, where the real data are not at hand.
#define RETORT_NEEDS_DATA()               \
  if (retort::tests::real_data().empty()) \
  GTEST_SKIP() << "RETORT_DATA is not set: the unpacked real data are not at hand"
