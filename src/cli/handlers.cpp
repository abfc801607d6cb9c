#include "cli/handlers.h"

#include <sys/time.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <exception>
#include <new>

#include "cli/command.h"
#include "core/plain_file.h"
#include "core/safe_point.h"
#include "retort/core/error.h"

namespace retort::cli {
namespace {

/// What a handler can reach.
struct Reached {
  StopFlag stop;
  bool json = false, quiet = false;
};

Reached& reached() {
  static Reached all;
  return all;
}

constexpr const char* kStarvedAdvice = ".\n  what to do: lower --real-batch or --images-per-class";

/// In a handler: nothing here may allocate or lock.
void say(int file, const char* text) {
  const ssize_t ignored = ::write(file, text, std::strlen(text));
  static_cast<void>(ignored);
}

void on_signal(int) {
  reached().stop.request();
  // Most commands look at the flag; of those that do not within this time nothing is lost by ending
  // at once: whatever they write survives a kill.
  const itimerval soon{{0, 0}, {0, 700'000}};
  setitimer(ITIMER_REAL, &soon, nullptr);
}

void on_alarm(int) {
  const bool ahead = safe_point_ahead();
  if (!reached().quiet)
    say(STDERR_FILENO, ahead ? "\nretort: stopping after this iteration; once more stops at once\n"
                             : "\nretort: stopped\n");
  if (ahead) return;
  ::_exit(kStopped);
}

/// The last words of a handler; `found` and `more` follow each other.
[[noreturn]] void end_at_once(const char* found, const char* more, const char* advice, int code) {
  for (const char* part : {"retort: ", found, more, advice}) say(STDERR_FILENO, part);
  say(STDERR_FILENO, "\n");
  if (reached().json) {
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

}  // namespace

StopFlag& install_handlers(const Handling& how) {
  reached().json = how.json;
  reached().quiet = how.quiet;
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
  return reached().stop;
}

}  // namespace retort::cli
