// Calling the program: in-process, and as a process that can be killed.
#pragma once

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sstream>
#include <string>
#include <vector>

#include "cli/program.h"

namespace retort::tests {

struct Answer {
  int code = 0;
  std::string out, err;
};

/// One command line in this process.
inline Answer call(const std::vector<std::string>& arguments) {
  std::ostringstream out, err;
  Answer answer;
  answer.code = cli::run(arguments, out, err);
  answer.out = out.str();
  answer.err = err.str();
  return answer;
}

/// Starts the built program; its output goes nowhere, its messages to the file `err`.
inline pid_t start(const std::vector<std::string>& arguments,
                   const std::string& err = "/dev/null") {
  std::vector<std::string> words{std::string(RETORT_BUILD_DIR) + "/retort"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 2, err.c_str(), O_WRONLY | O_CREAT, 0644);
  pid_t child = -1;
  posix_spawn(&child, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  return child;
}

/// Waits for a process; its exit code, or minus the signal that ended it.
inline int wait_for(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace retort::tests
