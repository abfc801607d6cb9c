// What a subcommand is: a name, a line of help, and a function of its arguments.
#pragma once

#include <filesystem>
#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include "cli/printable.h"
#include "retort/core/options.h"
#include "retort/core/process_group.h"
#include "retort/core/progress.h"
#include "retort/core/stop.h"

namespace retort::cli {

/// A positional argument of a command.
struct Positional {
  std::string name;
  std::string help;
  std::string* value;
  bool required = true;
  std::vector<std::string> choices = {};  ///< words to complete it with, next to files
};

/// Told what a command declares for the arguments that it was given.
using Survey = std::function<void(OptionSet& options, const std::vector<Positional>& positionals)>;

struct Host;

/// Where a command writes and how it is asked to stop.
struct Environment {
  std::ostream& out;  ///< results
  std::ostream& err;  ///< progress and messages
  bool terminal = false;
  int width = 80;
  StopFlag* stop = nullptr;
  Survey survey = {};  ///< where there is one, a command declares its options and does nothing else
  bool debug = false;  ///< says what is of use in finding a defect
  const Host* host = nullptr;  ///< cli/host.h; where there is one, progress goes to it

  const ProcessGroup* group = &ProcessGroup::alone();  ///< whom the work is shared with

  /// Where there is one, what is worked out of the data once (whitening) is kept there and not in
  /// the command's own folder: for commands of several parts.
  std::filesystem::path cache = {};

  /// Of the first process alone.
  ProgressStyle progress() const;
};

using Arguments = std::vector<std::string>;

/// One subcommand. `run` returns the exit code and throws retort::Error.
struct Command {
  std::string name;
  std::string summary;
  int (*run)(const Environment& environment, const Arguments& arguments);
  bool shared = false;  ///< among the processes of a job; else the first does it alone
};

/// All subcommands, in the order of the help text.
const std::vector<Command>& command_table();

int run_distill(const Environment& environment, const Arguments& arguments);
int run_squeeze(const Environment& environment, const Arguments& arguments);
int run_experts(const Environment& environment, const Arguments& arguments);
int run_reproduce(const Environment& environment, const Arguments& arguments);
int run_eval(const Environment& environment, const Arguments& arguments);
int run_score(const Environment& environment, const Arguments& arguments);
int run_search(const Environment& environment, const Arguments& arguments);
int run_relabel(const Environment& environment, const Arguments& arguments);
int run_recall(const Environment& environment, const Arguments& arguments);
int run_study(const Environment& environment, const Arguments& arguments);
int run_statistics_study(const Environment& environment, const Arguments& arguments);
int run_continual(const Environment& environment, const Arguments& arguments);
int run_pack(const Environment& environment, const Arguments& arguments);
int run_data(const Environment& environment, const Arguments& arguments);
int run_merge(const Environment& environment, const Arguments& arguments);
int run_report(const Environment& environment, const Arguments& arguments);
int run_export(const Environment& environment, const Arguments& arguments);
int run_import(const Environment& environment, const Arguments& arguments);
int run_zoo(const Environment& environment, const Arguments& arguments);
int run_list(const Environment& environment, const Arguments& arguments);
int run_describe(const Environment& environment, const Arguments& arguments);
int run_completion(const Environment& environment, const Arguments& arguments);

/// The exit code of a run that was asked to stop and wrote a checkpoint.
constexpr int kStopped = 130;
/// Says how a command that was asked to stop goes on; its exit code.
int say_stopped(const Environment& environment);

}  // namespace retort::cli
