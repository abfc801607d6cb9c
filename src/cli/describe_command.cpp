// retort describe: one method, network or protocol; --markdown prints docs/methods.md.
#include <ostream>

#include "cli/arguments.h"
#include "retort/core/error.h"
#include "retort/core/records.h"
#include "retort/eval/evaluate.h"
#include "retort/methods/distill.h"
#include "retort/train/experts.h"

namespace retort::cli {
namespace {

void print_options(std::ostream& out, const OptionSet& options) {
  out << "| option | default | takes | meaning |\n| --- | --- | --- | --- |\n";
  for (const Option& option : options.all())
    out << fmt::format("| `{}` | {} | {} | {} |\n", option.flag(),
                       option.default_text.empty() ? "" : "`" + option.default_text + "`",
                       option.accepted(), option.help);
}

void describe_method(std::ostream& out, const methods::MethodEntry& entry) {
  const auto method = entry.make();
  methods::DistillOptions loop;
  loop.method = entry.name;
  loop.take(method->defaults());
  out << "## " << entry.name << "\n\n" << entry.summary << ".";
  if (!entry.paper.empty()) out << " " << entry.paper << ".";
  out << "\n\n";
  OptionSet options;
  method->declare(options);
  if (options.all().empty()) {
    out << "It has no options of its own.\n";
  } else {
    print_options(out, options);
  }
  OptionSet shared;
  loop.declare(shared);
  OptionSet plain;
  methods::DistillOptions usual;
  usual.declare(plain);
  std::vector<std::string> suggestions;
  for (const Option& option : shared.all())
    if (option.name != "method" && option.default_text != plain.find(option.name)->default_text)
      suggestions.push_back(fmt::format("`{} {}`", option.flag(), option.default_text));
  if (!suggestions.empty())
    out << fmt::format("\nIt changes these defaults: {}.\n", fmt::join(suggestions, ", "));
  const auto deviations = method->deviations();
  if (!deviations.empty()) out << "\nWhere it differs from the reference code:\n\n";
  for (const std::string& text : deviations) out << "- " << text << "\n";
  out << "\n";
}

void describe_parametrisation(std::ostream& out, const synthetic::ParametrisationEntry& entry) {
  out << "## parametrisation " << entry.name << "\n\n" << entry.summary << ".\n\n";
  const auto kind = entry.make();
  OptionSet options;
  kind->declare(options);
  if (options.all().empty()) {
    out << "It has no options of its own.\n";
  } else {
    print_options(out, options);
  }
  out << "\n";
}

void describe_protocol(std::ostream& out, const eval::Protocol& protocol) {
  const train::TrainOptions& t = protocol.training;
  const std::string length =
      protocol.steps ? "steps by the number of images" : fmt::format("{} epochs", t.epochs);
  out << fmt::format(
      "## protocol {}\n\n{}.\n\n{} with rate {}, {}weight decay {}, schedule {}, {}, "
      "batches of {}, augmentation {}.\n\n",
      protocol.name, protocol.summary, t.optimiser, t.learning_rate,
      t.optimiser == "sgd" ? fmt::format("momentum {}, ", t.momentum) : "", t.weight_decay,
      t.schedule, length, t.batch_size, t.augmentation);
}

void describe_network(std::ostream& out, const nets::NetworkEntry& network) {
  out << fmt::format("## network {}\n\n{}.\n\nVariants, joined by dashes: {}.\n\n", network.name,
                     network.summary, network.variants);
}

/// The whole of docs/methods.md.
void print_markdown(std::ostream& out) {
  out << "# Methods and options\n\nPrinted by `retort describe --markdown`; a test compares the "
         "two.\n\n";
  for (const auto& entry : methods::method_table()) describe_method(out, entry);
  out << "# Options of every distillation\n\n";
  OptionSet options;
  methods::DistillOptions loop;
  loop.declare(options);
  print_options(out, options);
  out << "\n# Parametrisations\n\n";
  for (const auto& entry : synthetic::parametrisation_table()) describe_parametrisation(out, entry);
  out << "# Options of experts\n\n";
  OptionSet expert_set;
  train::ExpertOptions experts;
  experts.declare(expert_set);
  print_options(out, expert_set);
  out << "\n# Options of the data\n\n";
  OptionSet data_set;
  data::DataOptions data;
  data.declare(data_set);
  print_options(out, data_set);
  out << "\n# Options of an evaluation\n\n";
  OptionSet eval_set;
  eval::EvalOptions eval;
  eval.declare(eval_set);
  print_options(out, eval_set);
  out << "\n# Networks\n\n";
  for (const auto& network : nets::network_table()) describe_network(out, network);
  out << "# Protocols\n\n";
  for (const auto& protocol : eval::protocols()) describe_protocol(out, protocol);
}

/// Describes the entry of that name, whatever table it is in.
void describe(std::ostream& out, const std::string& name) {
  std::vector<std::string> known;
  bool found = false;
  auto look = [&](const auto& table, auto&& print) {
    for (const auto& entry : table) {
      known.push_back(entry.name);
      if (entry.name == name) {
        print(out, entry);
        found = true;
      }
    }
  };
  look(methods::method_table(), describe_method);
  look(synthetic::parametrisation_table(), describe_parametrisation);
  look(nets::network_table(), describe_network);
  look(eval::protocols(), describe_protocol);
  if (!found)
    throw ConfigError::unknown("describing '" + name + "'",
                               "method, parametrisation, network or protocol", name, known);
}

}  // namespace

int run_describe(const Environment& environment, const Arguments& arguments) {
  std::string name;
  bool markdown = false, json = false;
  OptionSet set;
  set.add("markdown", markdown, "print everything, as in docs/methods.md");
  set.add("json", json, "print one JSON document on standard output");
  const Usage usage{"describe",
                    "Says what a method, parametrisation, network or protocol does and takes.",
                    "Examples:\n  retort describe dm\n  retort describe convnet\n"};
  if (!parse(environment, usage, arguments, set,
             {{"name", "a method, parametrisation, network or protocol", &name, false}}))
    return 0;
  if (!markdown && name.empty())
    throw ConfigError(Report{"reading the command line of 'retort describe'", "nothing to describe",
                             "a name, or --markdown", "`retort list` shows the names"});
  std::ostringstream text;
  if (markdown) {
    print_markdown(text);
  } else {
    describe(text, name);
  }
  std::string whole = text.str();
  while (whole.ends_with("\n\n")) whole.pop_back();
  if (json) {
    environment.out << json_text(Json{{"name", name}, {"text", whole}}, 2) << "\n";
  } else {
    environment.out << whole;
  }
  return 0;
}

}  // namespace retort::cli
