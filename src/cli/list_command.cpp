// retort list: the tables of the program.
#include <fmt/ranges.h>

#include <ostream>
#include <regex>

#include "cli/arguments.h"
#include "core/registry.h"
#include "core/version.h"
#include "optim/optimizer.h"
#include "optim/schedule.h"
#include "retort/core/error.h"
#include "retort/core/records.h"
#include "retort/data/raw.h"
#include "retort/eval/evaluate.h"
#include "retort/methods/method.h"
#include "retort/nets/network.h"
#include "retort/synthetic/parametrisation.h"

namespace retort::cli {
namespace {

using Rows = std::vector<std::pair<std::string, std::string>>;

template <class Table>
Rows rows_of(const Table& table) {
  Rows rows;
  for (const auto& entry : table) rows.emplace_back(entry.name, entry.summary);
  return rows;
}

Rows parts() {
  Rows rows;
  for (const BuildPart& part : build_parts())
    rows.emplace_back(part.name, (part.present ? "yes: " : "no: ") + part.detail);
  for (const nets::EngineEntry& engine : nets::engine_table())
    rows.emplace_back("engine " + engine.name,
                      (engine.present ? "yes: " : "no: ") + engine.summary);
  return rows;
}

Rows classes() {
  Rows rows;
  for (const auto& list : data::class_lists())
    rows.emplace_back(list.name,
                      fmt::format("ImageNet classes {}", fmt::join(list.imagenet_indices, ", ")));
  return rows;
}

bool at_libtorch_speed(const std::string& specification) {
  const auto network = nets::make_network(specification, {3, 32, 32, 10});
  const std::string engine = network->engine_name();
  return engine == "autograd" || engine == "sequential";
}

/// The variants of a network that no engine of ours takes on a CPU, though it takes the network.
std::vector<std::string> slow_variants(const nets::NetworkEntry& network) {
  std::vector<std::string> slow;
  static const std::regex kWord("[a-z]+");
  const std::string& all = network.variants;
  for (std::sregex_iterator word(all.begin(), all.end(), kWord), end; word != end; ++word) try {
      if (at_libtorch_speed(network.name + "-" + word->str())) slow.push_back(word->str());
    } catch (const ConfigError&) {  // a word that explains
    }
  return slow;
}

/// Networks with the engines of their calls on a CPU, and what stays at libtorch's own speed.
Rows networks() {
  Rows rows;
  for (const nets::NetworkEntry& entry : nets::network_table()) {
    const auto network = nets::make_network(entry.name, {3, 32, 32, 10});
    std::string line =
        fmt::format("{}; gradients by {}, along directions by {}", entry.summary,
                    network->engine_name(), network->engine_name(nets::Work::kGradientJvp));
    const bool whole = at_libtorch_speed(entry.name);
    const std::vector<std::string> slow = whole ? std::vector<std::string>{} : slow_variants(entry);
    if (whole) line += ", at libtorch's speed";
    if (!slow.empty()) line += fmt::format("; at libtorch's speed with {}", fmt::join(slow, ", "));
    rows.emplace_back(entry.name, line);
  }
  return rows;
}

struct Section {
  std::string name;
  Rows (*rows)();
};

const std::vector<Section>& sections() {
  static const std::vector<Section> kSections{
      {"methods", [] { return rows_of(methods::method_table()); }},
      {"networks", networks},
      {"parametrisations", [] { return rows_of(synthetic::parametrisation_table()); }},
      {"protocols", [] { return rows_of(eval::protocols()); }},
      {"optimizers", [] { return rows_of(optim::optimizer_table()); }},
      {"schedules", [] { return rows_of(optim::schedule_table()); }},
      {"readers", [] { return rows_of(data::readers()); }},
      {"classes", classes},
      {"parts", parts},
  };
  return kSections;
}

}  // namespace

int run_list(const Environment& environment, const Arguments& arguments) {
  std::string which;
  bool json = false;
  OptionSet set;
  set.add("json", json, "print one JSON document on standard output");
  const Usage usage{
      "list", "Lists what this program knows.",
      "Example:\n  retort list networks\n\nSections: methods, networks, "
      "parametrisations, protocols, optimizers, schedules, readers, classes, parts\n"};
  if (!parse(environment, usage, arguments, set,
             {{"section", "one section; all where absent", &which, false,
               names_of(std::span<const Section>(sections()))}}))
    return 0;
  if (!which.empty()) find_entry(std::span(sections()), "section", which);
  Json document = Json::object();
  for (const Section& section : sections()) {
    if (!which.empty() && section.name != which) continue;
    const Rows rows = section.rows();
    if (!json) environment.out << section.name << "\n";
    for (const auto& [name, summary] : rows) {
      document[section.name].push_back({{"name", name}, {"summary", summary}});
      if (!json) environment.out << fmt::format("  {:<18}{}\n", name, summary);
    }
  }
  if (json) environment.out << json_text(document, 2) << "\n";
  return 0;
}

}  // namespace retort::cli
