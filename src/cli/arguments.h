// Command lines from declared options.
#pragma once

#include <torch/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "cli/command.h"
#include "retort/core/options.h"

namespace retort::report {
struct Table;
}

namespace retort::cli {

/// Options that every command which computes takes.
struct MachineOptions {
  std::string device = "cpu";
  int64_t threads = 0;
  bool json = false;
  void declare(OptionSet& options);
  /// Sets the threads and opens the device; warns on `err` where BLAS is slow.
  at::Device apply(const Environment& environment);
  int threads_used = 1;
};

/// Threads as asked for, but no more than two a processor: with more, a step can take minutes. A
/// note on `err` says so.
int64_t useful_threads(const Environment& environment, int64_t threads);

/// Bytes of "800MB", "2.5GB" or "1000000"; 0 for an empty text. ConfigError on anything else.
int64_t parse_bytes(const std::string& text);

/// How a command is called, for its help.
struct Usage {
  std::string command;  ///< "distill"
  std::string summary;
  std::string examples;  ///< shown below the options
};

/// Parses arguments into the options; flags override a `recipe` file ("" for none) that was read
/// before. All problems at once as ConfigError. Returns false when help was asked for and printed,
/// or the environment holds a survey.
bool parse(const Environment& environment, const Usage& usage, const Arguments& arguments,
           OptionSet& options, const std::vector<Positional>& positionals = {},
           const std::string& recipe = {}, const std::vector<std::string>& recipe_ignores = {});

/// The bundle that a run folder holds, or the file itself; DataError where the run has none yet.
std::filesystem::path bundle_of(const std::string& target);

/// ConfigError where the page that --out names by default is there: only one that was named is
/// written over.
void keep_unnamed_page(const OptionSet& options);

/// The value of --NAME VALUE or --NAME=VALUE in the arguments (the last one), or empty.
std::string peek(const Arguments& arguments, const std::string& name);

/// Sets an option as if its flag had been given; ConfigError where that would be refused.
void give(OptionSet& options, const std::string& name, const std::string& text);

/// Text as an aligned table; the first row is the head. Columns of numbers are right-aligned.
std::string aligned(const std::vector<std::vector<std::string>>& rows);

/// A report's tables as text, each under its caption.
std::string as_text(const std::vector<report::Table>& tables);

}  // namespace retort::cli
