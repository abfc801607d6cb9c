#include "cli/program.h"

#include <c10/util/Exception.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <iostream>
#include <new>
#include <system_error>

#include "cli/arguments.h"
#include "cli/command.h"
#include "core/file.h"
#include "core/limits.h"
#include "core/plain_file.h"
#include "core/registry.h"
#include "core/safe_point.h"
#include "core/version.h"
#include "retort/core/device.h"
#include "retort/core/error.h"
#include "retort/core/records.h"

namespace retort::cli {
namespace {

StopFlag& stop_flag() {
  static StopFlag flag;  // the one thing a signal handler can reach
  return flag;
}

constexpr const char* kStarvedAdvice = ".\n  what to do: lower --real-batch or --images-per-class";

bool& json_asked() {
  static bool asked = false;  // read by a handler
  return asked;
}

/// In a handler: nothing here may allocate or lock.
void say(int file, const char* text) {
  const ssize_t ignored = ::write(file, text, std::strlen(text));
  static_cast<void>(ignored);
}

void on_signal(int) {
  stop_flag().request();
  // Most commands look at the flag; of those that do not within this time nothing is lost by ending
  // at once: whatever they write survives a kill.
  const itimerval soon{{0, 0}, {0, 700'000}};
  setitimer(ITIMER_REAL, &soon, nullptr);
}

void on_alarm(int) {
  if (safe_point_ahead()) {
    say(STDERR_FILENO, "\nretort: stopping after this iteration; once more stops at once\n");
    return;
  }
  say(STDERR_FILENO, "\nretort: stopped\n");
  ::_exit(kStopped);
}

/// The last words of a handler; `found` and `more` follow each other.
[[noreturn]] void end_at_once(const char* found, const char* more, const char* advice, int code) {
  for (const char* part : {"retort: ", found, more, advice}) say(STDERR_FILENO, part);
  say(STDERR_FILENO, "\n");
  if (json_asked()) {
    say(STDOUT_FILENO, "{\"error\":\"the message stands on standard error\",\"exit_code\":");
    const char digit[] = {static_cast<char>('0' + code), '\0'};
    say(STDOUT_FILENO, digit);
    say(STDOUT_FILENO, "}\n");
  }
  ::_exit(code);
}

/// A file that is mapped ended before the map did.
void on_bus_error(int signal, siginfo_t* about, void*) {
  if (const char* path = mapped_file_at(about->si_addr))
    end_at_once(path, ": it was cut short, or its disk failed, while it was being read",
                ".\n  what to do: restore the file, and give the same command again.", 3);
  std::signal(signal, SIG_DFL);  // not one of ours: the instruction is repeated, and ends us
}

/// Something was thrown where nobody can catch it: in a thread of a library.
[[noreturn]] void on_terminate() {
  try {
    if (const auto thrown = std::current_exception()) std::rethrow_exception(thrown);
  } catch (const std::bad_alloc&) {
    end_at_once("out of memory", "", kStarvedAdvice, 4);
  } catch (const Error& error) {
    end_at_once(error.what(), "", "", error.exit_code());
  } catch (const std::exception& error) {
    end_at_once("this is a defect of retort, please report it: ", error.what(), "", 1);
  } catch (...) {
  }
  end_at_once("this is a defect of retort, please report it: it was ended by a library", "", "", 1);
}

void install_handlers() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = static_cast<int>(SA_RESETHAND);  // a second signal ends the program at once
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  action.sa_handler = on_alarm;
  action.sa_flags = SA_RESTART;
  sigaction(SIGALRM, &action, nullptr);
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGBUS, &action, nullptr);
  std::set_terminate(on_terminate);
  std::signal(SIGXFSZ, SIG_IGN);  // a limit on file sizes is a failed write like any other
}

int terminal_width() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

void print_help(std::ostream& out) {
  out << "retort distils a large labelled image set into a tiny synthetic one.\n\n"
         "Usage: retort COMMAND [options]\n\nCommands:\n";
  for (const Command& command : command_table())
    out << fmt::format("  {:<12}{}\n", command.name, command.summary);
  out << "\nStart here:\n"
         "  retort distill --method dm --data shapes --images-per-class 10 --iterations 200 "
         "--real-batch 64 --out runs/a\n"
         "  retort eval runs/a --data shapes\n"
         "  retort COMMAND --help       all options of a command\n"
         "  retort describe dm          what a method does and takes\n"
         "\n--debug shows everything that is known of an error, and which engine a network has;\n"
         "--version prints the version.\n";
}

bool take_flag(Arguments& arguments, const std::string& flag) {
  const auto found = std::find(arguments.begin(), arguments.end(), flag);
  if (found == arguments.end()) return false;
  arguments.erase(found);
  return true;
}

int dispatch(const Environment& environment, Arguments arguments) {
  if (arguments.empty() || arguments[0] == "--help" || arguments[0] == "-h" ||
      arguments[0] == "help") {
    print_help(environment.out);
    return arguments.empty() ? 2 : 0;
  }
  if (arguments[0] == "--version") {
    environment.out << "retort " << version() << "\n";
    return 0;
  }
  const Command& command = find_entry(std::span(command_table()), "command", arguments[0]);
  arguments.erase(arguments.begin());
  return command.run(environment, arguments);
}

/// True where the last --json among the words says yes.
bool asks_for_json(const Arguments& arguments) {
  bool asked = false;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    if (word == "--json")
      asked = i + 1 == arguments.size() || yes_or_no(arguments[i + 1]).value_or(true);
    else if (word.starts_with("--json="))
      asked = yes_or_no(word.substr(7)).value_or(false);
  }
  return asked;
}

/// How a command line ended.
struct Ending {
  int code = 0;
  bool out_of_memory = false;
};

/// Tells the user of a failure and returns the exit code.
int report_failure(const Environment& environment, const Arguments& arguments,
                   const std::string& message, int code) {
  environment.err << "retort: " << message << "\n";
  if (asks_for_json(arguments))
    environment.out << json_text(Json{{"error", message}, {"exit_code", code}}) << "\n";
  return code;
}

Ending guarded(const Environment& given, Arguments arguments) {
  Environment environment = given;
  const bool debug = environment.debug = take_flag(arguments, "--debug");
  auto fail = [&](const std::string& message, int code) -> Ending {
    return {report_failure(environment, arguments, message, code)};
  };
  auto starved = [&](const std::string& found) -> Ending {
    return {report_failure(environment, arguments,
                           found + "\n  what to do: lower --real-batch or --images-per-class", 4),
            true};
  };
  try {
    return {dispatch(environment, arguments)};
  } catch (const Error& error) {
    return fail(error.what(), error.exit_code());
  } catch (const std::bad_alloc&) {
    return starved("out of memory");
  } catch (const std::filesystem::filesystem_error& error) {
    return fail(fmt::format("reading '{}': {}.\n  what to do: check the path and its permissions",
                            error.path1().string(), error.code().message()),
                4);
  } catch (const std::system_error& error) {  // a thread that could not be started
    return starved(fmt::format("out of memory or of threads: {}", error.code().message()));
  } catch (const c10::Error& error) {
    const std::string text = debug ? error.what() : error.what_without_backtrace();
    for (const char* words : {"out of memory", "not enough memory", "can't allocate memory"})
      if (text.find(words) != std::string::npos) return starved(text);
    return fail("this is a defect of retort, please report it: " + text, 1);
  } catch (const std::exception& error) {
    return fail(std::string("this is a defect of retort, please report it: ") + error.what(), 1);
  }
}

}  // namespace

int say_stopped(const Environment& environment) {
  environment.err << "stopped: give the same command to go on\n";
  return kStopped;
}

const std::vector<Command>& command_table() {
  static const std::vector<Command> kTable{
      {"distill", "make a tiny set from a large one", run_distill},
      {"reproduce", "run a recipe whole, and print the result beside the published one",
       run_reproduce},
      {"eval", "train students on a set and test them, beside random images", run_eval},
      {"relabel", "store a teacher's labels of the views that students will see", run_relabel},
      {"experts", "train the experts of trajectory matching, or import published ones",
       run_experts},
      {"squeeze", "train a teacher, supervised or self-supervised", run_squeeze},
      {"recall", "decode mixed labels from a set of memories", run_recall},
      {"study", "measure experts and the sets that follow them, storage, statistics of teachers",
       run_study},
      {"continual", "learn tasks that come one after another, with stored sets as the memory",
       run_continual},
      {"data", "show what a folder of images holds, class by class", run_data},
      {"pack", "write a data set into one mapped file, for data larger than memory", run_pack},
      {"report", "write the page of a run", run_report},
      {"export", "write a set as PNG folders, .npz or .pt", run_export},
      {"import", "read a published set or a folder of images as a bundle", run_import},
      {"list", "methods, networks, readers, protocols, parts of this build", run_list},
      {"describe", "what a method, network or protocol does and takes", run_describe},
      {"completion", "print a completion script for bash, zsh or fish", run_completion},
  };
  return kTable;
}

int run_program(int argc, char** argv) {
  install_handlers();
  keep_freed_memory();
  PrintableStream out(std::cout), err(std::cerr);
  const Environment environment{out, err, isatty(STDERR_FILENO) == 1, terminal_width(),
                                &stop_flag()};
  const Arguments arguments(argv + 1, argv + argc);
  json_asked() = asks_for_json(arguments);
  Ending ending = guarded(environment, arguments);
  out.flush();
  if (!out) {
    std::cerr << "retort: writing to standard output failed\n";
    if (ending.code == 0) ending.code = 4;
  }
  // OpenBLAS's threads ask for memory again and again while a process exits in the usual way.
  if (ending.out_of_memory) std::_Exit(ending.code);
  return ending.code;
}

int run(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err) {
  PrintableStream clean_out(out), clean_err(err);
  return guarded({clean_out, clean_err}, arguments).code;
}

}  // namespace retort::cli
