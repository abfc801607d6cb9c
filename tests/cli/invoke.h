// Calling the program: in-process, and as a process that can be killed.
#pragma once

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cli/program.h"
#include "support/support.h"

namespace retort::tests {

struct Answer {
  int code = 0;
  std::string out, err;
};

/// A command that computes does so on the device of the tests, where it names none itself.
inline std::vector<std::string> on_test_device(std::vector<std::string> arguments) {
  static const char* const kComputing[] = {"distill",   "eval",   "experts",   "squeeze", "relabel",
                                           "reproduce", "recall", "continual", "score",   "search"};
  const char* const device = std::getenv("RETORT_TEST_DEVICE");
  const auto names_one = [](const std::string& word) { return word.starts_with("--device"); };
  if (device && !arguments.empty() &&
      std::count(std::begin(kComputing), std::end(kComputing), arguments[0]) > 0 &&
      std::none_of(arguments.begin(), arguments.end(), names_one))
    arguments.insert(arguments.end(), {"--device", device});
  return arguments;
}

/// The line with every shorthand, in their order, in its full text.
inline std::string in_full(std::string line,
                           const std::vector<std::pair<std::string, std::string>>& shorthands) {
  for (const auto& [from, to] : shorthands)
    for (size_t i = line.find(from); i != std::string::npos; i = line.find(from, i))
      line.replace(i, from.size(), to);
  return line;
}

/// One command line in this process.
inline Answer call(const std::vector<std::string>& arguments) {
  std::ostringstream out, err;
  Answer answer;
  answer.code = cli::run(on_test_device(arguments), out, err);
  answer.out = out.str();
  answer.err = err.str();
  return answer;
}

/// Starts the built program; its output goes nowhere, its messages to the file `err`.
inline pid_t start(const std::vector<std::string>& arguments,
                   const std::string& err = "/dev/null") {
  std::vector<std::string> words{RETORT_BUILD_DIR "/retort"};
  const std::vector<std::string> whole = on_test_device(arguments);
  words.insert(words.end(), whole.begin(), whole.end());
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

/// Whether the process has ended by itself; it can still be waited for.
inline bool has_ended(pid_t child) {
  siginfo_t about{};
  return waitid(P_PID, static_cast<id_t>(child), &about, WEXITED | WNOHANG | WNOWAIT) != 0 ||
         about.si_pid != 0;
}

/// Waits until `count()` has grown by `steps`, or the process has ended by itself.
template <class Count>
void wait_for_steps(pid_t child, int steps, const Count& count) {
  const int before = count();
  while (count() < before + steps && !has_ended(child))
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

/// Starts the command and kills it when `count()` has grown by `steps`; true where it was killed.
template <class Count>
bool killed_after(const std::vector<std::string>& words, int steps, const Count& count) {
  const pid_t child = start(words);
  wait_for_steps(child, steps, count);
  kill(child, SIGKILL);
  return wait_for(child) == -SIGKILL;
}

/// The lines that a file has by now.
inline int lines(const std::filesystem::path& path) {
  const std::string text = read_text(path);
  return static_cast<int>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace retort::tests
