#include "cli/arguments.h"

#include <fmt/ranges.h>
#include <torch/cuda.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <map>
#include <ostream>

#include "cli/estimate.h"
#include "cli/several.h"
#include "core/limits.h"
#include "core/sizes.h"
#include "retort/core/device.h"
#include "retort/core/error.h"
#include "retort/report/page.h"

namespace retort::cli {
namespace {

/// A flag's text as it was given, in order.
struct Given {
  std::string name, text;
};

std::string help_of(const Option& option) {
  std::string text = option.help;
  if (!option.limits.choices.empty()) text += " (" + option.accepted() + ")";
  const std::string value = option.text();
  if (option.type_name() == "yes|no" && value == "true")
    text += " [yes; " + option.flag() + "=no turns it off]";
  if (!value.empty() && option.type_name() != "yes|no") text += " [" + value + "]";
  return text;
}

/// For the help text; values are taken by `take_known`.
void bind(CLI::App& app, const Option& option) {
  CLI::Option* bound = app.add_option_function<std::string>(
      option.flag(), [](const std::string&) {}, help_of(option));
  bound->type_name(option.type_name() == "yes|no" ? "" : option.type_name());
  bound->group(option.group.empty() ? "Options" : option.group);
}

/// Takes every known flag with its value out of the words, which come back without them. A yes|no
/// flag without a yes or a no after it says yes.
Arguments take_known(const Arguments& arguments, const OptionSet& options,
                     std::vector<Given>& given, Problems& problems) {
  Arguments rest;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const size_t sign = arguments[i].find('=');
    std::string name = arguments[i].starts_with("--") ? arguments[i].substr(2, sign - 2) : "";
    std::replace(name.begin(), name.end(), '-', '_');
    const Option* option = options.find(name);
    const bool more = i + 1 < arguments.size();
    if (!option)
      rest.push_back(arguments[i]);
    else if (sign != std::string::npos)
      given.push_back({name, arguments[i].substr(sign + 1)});
    else if (option->type_name() == "yes|no")
      given.push_back({name, more && yes_or_no(arguments[i + 1]) ? arguments[++i] : "yes"});
    else if (more && !arguments[i + 1].starts_with("--"))
      given.push_back({name, arguments[++i]});
    else
      problems.add(fmt::format("{}: its value is missing: {}", option->flag(), option->accepted()));
  }
  return rest;
}

/// Words that CLI11 did not know, as problems with the nearest option.
void report_extras(const std::vector<std::string>& extras, const OptionSet& options,
                   Problems& problems) {
  std::vector<std::string> flags;
  for (const Option& option : options.all()) flags.push_back(option.flag());
  for (const std::string& word : extras) {
    if (!word.starts_with("--")) {
      problems.add("'" + word + "' is one word too many: the command takes no more of them");
      continue;
    }
    const std::string flag = word.substr(0, word.find('='));
    const std::string near = nearest(flag, flags);
    problems.add("there is no option " + flag +
                 (near.empty() ? "" : "; did you mean " + near + "?"));
  }
}

bool is_number(const std::string& text) {
  return !text.empty() &&
         (std::isdigit(static_cast<unsigned char>(text[0])) != 0 || text[0] == '-');
}

/// Columns as wide as characters, not bytes.
size_t columns_of(const std::string& text) {
  return to_size(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

/// "cuda" is the first device; of several processes on a machine each has the next, in turn.
std::string device_of(const std::string& asked, const ProcessGroup& group) {
  const auto count = static_cast<int64_t>(torch::cuda::device_count());
  if (asked != "cuda" || group.local_rank() == 0 || count == 0) return asked;
  return fmt::format("cuda:{}", group.local_rank() % count);
}

}  // namespace

void MachineOptions::declare(OptionSet& options) {
  options.group("Machine");
  options.add("device", device, "cpu, cuda or cuda:N", {}, Role::kExecution);
  options.add("threads", threads,
              "number of processor threads; 0: all, or this process's part of them",
              {.min = 0, .max = 1024}, Role::kExecution);
  options.add("json", json, "print one JSON document on standard output", {}, Role::kExecution);
}

int64_t useful_threads(const Environment& environment, int64_t threads) {
  const int64_t cores = available_threads(), most = 2 * cores;
  if (threads <= most) return threads;
  environment.err << fmt::format(
      "note: --threads {} on {} processor{}: {} are used, more would wait "
      "for each other\n",
      threads, cores, cores == 1 ? "" : "s", most);
  return most;
}

int64_t parse_bytes(const std::string& text) {
  if (text.empty()) return 0;
  double value = 0;
  const auto [stop, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string unit(stop, text.data() + text.size());
  static const std::map<std::string, double> kUnits{
      {"", 1}, {"B", 1}, {"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}};
  const auto factor = kUnits.find(unit);
  if (problem != std::errc() || factor == kUnits.end() || !(value > 0) ||
      value * factor->second > 1e18)
    throw ConfigError(ErrorMessage{"reading --memory-limit",
                                   "'" + text + "' is not an amount of memory",
                                   "a number with kB, MB or GB, such as 800MB",
                                   {}});
  return static_cast<int64_t>(value * factor->second);
}

at::Device MachineOptions::apply(const Environment& environment) {
  const ProcessGroup& group = *environment.group;
  threads_used =
      use_threads(useful_threads(environment, threads > 0 ? threads : group.processors()));
  const at::Device chosen = parse_device(device_of(device, group));
  if (chosen.is_cpu() && !fast_blas())
    environment.err << "note: the reference BLAS is in use, 25 to 50 times slower than OpenBLAS: "
                       "install libopenblas0\n";
  return chosen;
}

bool parse(const Environment& environment, const Usage& usage, const Arguments& arguments,
           OptionSet& options, const std::vector<Positional>& positionals,
           const std::string& recipe, const std::vector<std::string>& recipe_ignores) {
  if (environment.survey) {
    environment.survey(options, positionals);
    return false;
  }
  CLI::App app(usage.summary, "retort " + usage.command);
  app.allow_extras();
  app.footer(usage.examples + (can_estimate(usage.command)
                                   ? "\n--estimate says how long it will take, how much memory "
                                     "and disk, and stops there.\n"
                                   : ""));
  app.get_formatter()->column_width(34);
  for (const Option& option : options.all()) bind(app, option);
  std::vector<std::string> words;
  for (const Positional& place : positionals)
    if (takes_several(place))  // the help adds dots of its own
      app.add_option(place.name.substr(0, place.name.find('.')), words, place.help);
    else
      app.add_option(place.name, *place.value, place.help);

  const std::string doing = "reading the command line of 'retort " + usage.command + "'";
  Problems problems;
  if (!recipe.empty()) options.read_toml(recipe, problems, recipe_ignores);
  std::vector<Given> given;
  std::vector<std::string> reversed = take_known(arguments, options, given, problems);
  std::reverse(reversed.begin(), reversed.end());
  try {
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    environment.out << app.help();
    return false;
  } catch (const CLI::ParseError& problem) {
    problems.add(problem.what());
  }
  for (const Positional& place : positionals)
    if (takes_several(place)) *place.value = fmt::format("{}", fmt::join(words, "\n"));
  report_extras(app.remaining(), options, problems);
  for (const Given& one : given)
    options.set(one.name, one.text, options.find(one.name)->flag(), problems);
  for (const Positional& place : positionals)
    if (place.required && place.value->empty())
      problems.add("missing: " + place.name + ", " + place.help);
  problems.raise(doing);
  return true;
}

std::filesystem::path bundle_of(const std::string& target) {
  if (!std::filesystem::is_directory(target)) return target;
  const auto file = std::filesystem::path(target) / "distilled.safetensors";
  if (!std::filesystem::exists(file))
    throw DataError(ErrorMessage{"reading '" + target + "'",
                                 "the folder holds no distilled.safetensors", "a finished run",
                                 "finish the run with the command that started it"});
  return file;
}

void keep_unnamed_page(const OptionSet& options) {
  const Option& out = *options.find("out");
  if (out.was_set || !std::filesystem::exists(out.text())) return;
  throw ConfigError(ErrorMessage{"choosing the page to write",
                                 "'" + out.text() + "' is there already",
                                 {},
                                 "name the page with --out; a page that is named is written over"});
}

std::string peek(const Arguments& arguments, const std::string& name) {
  std::string value;
  const std::string flag = "--" + name;
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == flag && i + 1 < arguments.size()) value = arguments[i + 1];
    if (arguments[i].starts_with(flag + "=")) value = arguments[i].substr(flag.size() + 1);
  }
  return value;
}

void give(OptionSet& options, const std::string& name, const std::string& text) {
  Problems problems;
  const Option* option = options.find(name);
  options.set(name, text, option ? option->flag() : name, problems);
  problems.raise("setting the options of a command");
}

std::string aligned(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows)
    for (size_t i = 0; i < row.size(); ++i) {
      if (i == widths.size()) widths.push_back(0);
      widths[i] = std::max(widths[i], columns_of(row[i]));
    }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string gap(widths[i] - columns_of(row[i]), ' ');
      const bool right = i > 0 && rows.size() > 1 && i < rows[1].size() && is_number(rows[1][i]);
      line += (i > 0 ? "  " : "") + (right ? gap + row[i] : row[i] + gap);
    }
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

std::string as_text(const std::vector<report::Table>& tables) {
  std::string text;
  for (const report::Table& table : tables) {
    std::vector<std::vector<std::string>> rows{table.head};
    rows.insert(rows.end(), table.rows.begin(), table.rows.end());
    text += table.caption + "\n" + aligned(rows) + "\n";
  }
  return text;
}

}  // namespace retort::cli
