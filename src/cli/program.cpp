#include "cli/program.h"

#include <c10/util/Exception.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <iostream>
#include <new>
#include <system_error>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/cross_arch_command.h"
#include "cli/estimate.h"
#include "cli/handlers.h"
#include "cli/launch.h"
#include "core/file.h"
#include "core/limits.h"
#include "core/note.h"
#include "core/registry.h"
#include "core/version.h"
#include "retort/core/device.h"
#include "retort/core/error.h"
#include "retort/core/records.h"

namespace retort::cli {
namespace {

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
         "\n--estimate (distill, experts, squeeze, relabel, eval, search, reproduce) says how long "
         "a "
         "command would\ntake, how much memory and disk, from a few of its steps, and stops "
         "there.\n"
         "--debug shows everything that is known of an error, and which engine a network has;\n"
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
  if (can_estimate(command.name) && take_flag(arguments, "--estimate"))
    return environment.group->first() ? estimate(environment, command, arguments) : 0;
  return run_in_group(environment, command, arguments);
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
                   const Failure& failure) {
  if (failure.unheard) {  // the others are at long work: nobody speaks for this process
    std::cerr << "retort: " << printable(failure.message) << "\n" << std::flush;
    environment.group->abort(failure.code);
  }
  environment.err << "retort: " << failure.message << "\n";
  if (asks_for_json(arguments))
    environment.out << json_text(Json{{"error", failure.message}, {"exit_code", failure.code}})
                    << "\n";
  return failure.code;
}

Ending guarded(const Environment& given, Arguments arguments) {
  Environment environment = given;
  const bool debug = environment.debug = take_flag(arguments, "--debug");
  auto fail = [&](const std::string& message, int code) -> Ending {
    return {report_failure(environment, arguments, environment.group->fail({code, message}))};
  };
  auto starved = [&](const std::string& found) -> Ending {
    return {fail(found + "\n  what to do: lower --real-batch or --images-per-class", 4).code, true};
  };
  try {
    const int code = dispatch(environment, arguments);
    environment.group->barrier();  // whatever went wrong elsewhere is known here
    return {code};
  } catch (const PeerError& error) {
    return {report_failure(environment, arguments, {error.exit_code(), error.what()})};
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

int run_in_group(const Environment& environment, const Command& command,
                 const Arguments& arguments) {
  if (command.shared) return command.run(environment, arguments);
  if (!environment.group->first()) return 0;  // the work of one
  Environment alone = environment;
  alone.group = &ProcessGroup::alone();
  return command.run(alone, arguments);
}

int say_stopped(const Environment& environment) {
  environment.err << "stopped: give the same command to go on\n";
  return kStopped;
}

const std::vector<Command>& command_table() {
  static const std::vector<Command> kTable{
      {"distill", "make a tiny set from a large one", run_distill, true},
      {"reproduce", "run a recipe whole, and print the result beside the published one",
       run_reproduce, true},
      {"eval", "train students on a set and test them, beside random images", run_eval, true},
      {"score", "score finished sets as DD-Ranking does, coresets beside them", run_score},
      {"search", "rank many networks by training on a set, and check the ranking", run_search,
       true},
      {"cross-arch", "train many networks on many sets, each at its own best rate", run_cross_arch},
      {"relabel", "store a teacher's labels of the views that students will see", run_relabel,
       true},
      {"experts", "train the experts of trajectory matching, or import published ones", run_experts,
       true},
      {"squeeze", "train a teacher, supervised or self-supervised", run_squeeze},
      {"recall", "decode mixed labels from a set of memories", run_recall},
      {"study", "measure experts and the sets that follow them, storage, statistics of teachers",
       run_study},
      {"continual", "learn tasks that come one after another, with stored sets as the memory",
       run_continual, true},
      {"data", "show what a folder of images holds, class by class", run_data},
      {"pack", "write a data set into one mapped file, for data larger than memory", run_pack},
      {"merge", "put together what independent jobs have made of one set", run_merge},
      {"report", "write the page of a run, or of several side by side", run_report},
      {"zoo", "list, show and copy the distilled sets that come with the program", run_zoo},
      {"export", "write a set as PNG folders, .npz or .pt", run_export},
      {"import", "read a published set or a folder of images as a bundle", run_import},
      {"list", "methods, networks, readers, protocols, parts of this build", run_list},
      {"describe", "what a method, network or protocol does and takes", run_describe},
      {"completion", "print a completion script for bash, zsh or fish", run_completion},
  };
  return kTable;
}

int run_program(int argc, char** argv) {
  const Arguments arguments(argv + 1, argv + argc);
  const Launch launch = launch_of_environment();
  StopFlag& stop = install_handlers({asks_for_json(arguments), !launch.first});
  keep_freed_memory();
  SilentBuffer nothing;  // the first process of a job speaks for all
  std::ostream silence(&nothing);
  PrintableStream out(launch.first ? std::cout : silence), err(launch.first ? std::cerr : silence);
  Environment environment{out, err, isatty(STDERR_FILENO) == 1, terminal_width(), &stop};
  std::unique_ptr<ProcessGroup> group;
  try {
    group = join(launch);
  } catch (const Error& error) {
    wait_for_the_end(launch);
    return report_failure(environment, arguments, {error.exit_code(), error.what()});
  }
  environment.group = group.get();
  Ending ending = guarded(environment, arguments);
  out.flush();
  if (!out) {
    std::cerr << "retort: writing to standard output failed\n";
    if (ending.code == 0) ending.code = 4;
  }
  group.reset();
  // OpenBLAS's threads ask for memory again and again while a process exits in the usual way.
  if (ending.out_of_memory) std::_Exit(ending.code);
  return ending.code;
}

int run(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err,
        const ProcessGroup& group) {
  PrintableStream clean_out(out), clean_err(err);
  Environment environment{clean_out, clean_err};
  environment.group = &group;
  return guarded(environment, arguments).code;
}

}  // namespace retort::cli
