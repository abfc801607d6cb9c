// retort describe: one method, network, protocol or stream; --markdown prints docs/methods.md.
#include <ostream>

#include "cli/arguments.h"
#include "cli/descriptions.h"
#include "retort/core/error.h"
#include "retort/data/dataset.h"
#include "retort/methods/distill.h"
#include "retort/trajectories/experts.h"

namespace retort::cli {
namespace {

/// The whole of docs/methods.md.
void print_markdown(std::ostream& out) {
  out << "# Methods and options\n\nPrinted by `retort describe --markdown`; a test compares the "
         "two.\n\n";
  for (const auto& entry : methods::method_table()) print_entry(out, describe(entry));
  out << "# Options of every distillation\n\n";
  print_options(out, options_of(methods::DistillOptions{}));
  out << "\n# Parametrisations\n\n";
  for (const auto& entry : synthetic::parametrisation_table()) print_entry(out, describe(entry));
  out << "# Options of experts\n\n";
  print_options(out, options_of(trajectories::ExpertOptions{}));
  out << "\n# Options of the data\n\n";
  print_options(out, options_of(data::DataOptions{}));
  out << "\n# Options of an evaluation\n\n";
  print_options(out, options_of(eval::EvalOptions{}));
  out << "\n# Networks\n\n";
  for (const auto& network : nets::network_table()) print_entry(out, describe(network));
  out << "# Protocols\n\n";
  for (const auto& protocol : eval::protocols()) print_entry(out, describe(protocol));
  out << "# Streams of tasks\n\n";
  for (const auto& stream : continual::stream_kinds()) print_entry(out, describe(stream));
}

std::vector<std::string> all_names() {
  std::vector<std::string> names;
  const auto take = [&](const auto& table) {
    for (const auto& entry : table) names.push_back(entry.name);
  };
  take(methods::method_table());
  take(synthetic::parametrisation_table());
  take(nets::network_table());
  take(eval::protocols());
  take(continual::stream_kinds());
  return names;
}

/// What is known of each entry of that name: a method and a protocol may share one.
std::vector<Json> entries_of(const std::string& name) {
  std::vector<Json> found;
  const auto look = [&](const auto& table) {
    for (const auto& entry : table)
      if (entry.name == name) found.push_back(describe(entry));
  };
  look(methods::method_table());
  look(synthetic::parametrisation_table());
  look(nets::network_table());
  look(eval::protocols());
  look(continual::stream_kinds());
  if (found.empty())
    throw ConfigError::unknown("describing '" + name + "'",
                               "method, parametrisation, network, protocol or stream", name,
                               all_names());
  return found;
}

}  // namespace

int run_describe(const Environment& environment, const Arguments& arguments) {
  std::string name;
  bool markdown = false, json = false;
  OptionSet set;
  set.add("markdown", markdown, "print everything, as in docs/methods.md");
  set.add("json", json, "print one JSON document on standard output");
  const Usage usage{
      "describe",
      "Says what a method, parametrisation, network, protocol or stream does and takes.",
      "Examples:\n  retort describe dm\n  retort describe convnet\n"};
  if (!parse(environment, usage, arguments, set,
             {{"name", "a method, parametrisation, network, protocol or stream", &name, false,
               all_names()}}))
    return 0;
  if (!markdown && name.empty())
    throw ConfigError(ErrorMessage{"reading the command line of 'retort describe'",
                                   "nothing to describe", "a name, or --markdown",
                                   "`retort list` shows the names"});
  std::vector<Json> entries;
  std::ostringstream text;
  if (markdown) {
    print_markdown(text);
  } else {
    entries = entries_of(name);
    for (const Json& entry : entries) print_entry(text, entry);
  }
  std::string whole = text.str();
  while (whole.ends_with("\n\n")) whole.pop_back();
  if (json) {
    const Json document =
        markdown ? Json{{"text", whole}} : Json{{"name", name}, {"entries", entries}};
    environment.out << json_text(document, 2) << "\n";
  } else {
    environment.out << whole;
  }
  return 0;
}

}  // namespace retort::cli
