// retort describe: one method, network, protocol or stream; --markdown prints docs/methods.md.
#include <ostream>

#include "cli/arguments.h"
#include "retort/continual/continual.h"
#include "retort/core/error.h"
#include "retort/core/records.h"
#include "retort/eval/evaluate.h"
#include "retort/methods/distill.h"
#include "retort/trajectories/experts.h"

namespace retort::cli {
namespace {

Json options_json(const OptionSet& options) {
  Json all = Json::array();
  for (const Option& option : options.all()) {
    all.push_back({{"option", option.flag()},
                   {"type", option.type_name()},
                   {"default", option.default_text},
                   {"takes", option.accepted()},
                   {"meaning", option.help}});
    if (!option.limits.choices.empty()) all.back()["choices"] = option.limits.choices;
  }
  return all;
}

void print_options(std::ostream& out, const Json& options) {
  if (options.empty()) {
    out << "It has no options of its own.\n";
    return;
  }
  out << "| option | default | takes | meaning |\n| --- | --- | --- | --- |\n";
  for (const Json& option : options) {
    const auto otherwise = option.at("default").get<std::string>();
    out << fmt::format("| `{}` | {} | {} | {} |\n", option.at("option").get<std::string>(),
                       otherwise.empty() ? "" : "`" + otherwise + "`",
                       option.at("takes").get<std::string>(),
                       option.at("meaning").get<std::string>());
  }
}

/// The options that anything with declare() has.
template <class Declares>
Json options_of(Declares&& declares) {
  OptionSet set;
  declares.declare(set);
  return options_json(set);
}

void print_deviations(std::ostream& out, const Json& deviations) {
  if (deviations.empty()) return;
  out << "Where it differs from the reference code:\n\n";
  for (const Json& deviation : deviations) out << "- " << deviation.get<std::string>() << "\n";
  out << "\n";
}

Json describe_method(const methods::MethodEntry& entry) {
  const auto method = entry.make();
  methods::DistillOptions loop, usual;
  loop.method = entry.name;
  loop.take(method->defaults());
  OptionSet shared, plain;
  loop.declare(shared);
  usual.declare(plain);
  Json changed = Json::array();
  for (const Option& option : shared.all())
    if (option.name != "method" && option.default_text != plain.find(option.name)->default_text)
      changed.push_back({{"option", option.flag()}, {"default", option.default_text}});
  return {{"kind", "method"},
          {"name", entry.name},
          {"summary", entry.summary},
          {"paper", entry.paper},
          {"options", options_of(*method)},
          {"changed_defaults", changed},
          {"deviations", method->deviations()}};
}

void print_method(std::ostream& out, const Json& method) {
  const auto text = [&](const char* key) { return method.at(key).get<std::string>(); };
  out << "## " << text("name") << "\n\n" << text("summary") << ".";
  if (!text("paper").empty()) out << " " << text("paper") << ".";
  out << "\n\n";
  print_options(out, method.at("options"));
  std::vector<std::string> changed;
  for (const Json& one : method.at("changed_defaults"))
    changed.push_back(fmt::format("`{} {}`", one.at("option").get<std::string>(),
                                  one.at("default").get<std::string>()));
  if (!changed.empty())
    out << fmt::format("\nIt changes these defaults: {}.\n", fmt::join(changed, ", "));
  out << "\n";
  print_deviations(out, method.at("deviations"));
}

Json describe_parametrisation(const synthetic::ParametrisationEntry& entry) {
  return {{"kind", "parametrisation"},
          {"name", entry.name},
          {"summary", entry.summary},
          {"options", options_of(*entry.make())}};
}

void print_parametrisation(std::ostream& out, const Json& entry) {
  out << fmt::format("## parametrisation {}\n\n{}.\n\n", entry.at("name").get<std::string>(),
                     entry.at("summary").get<std::string>());
  print_options(out, entry.at("options"));
  out << "\n";
}

/// What a post-training does beside training on images, in sentences.
std::string post_training_text(const eval::Protocol& protocol) {
  const eval::PostTraining& post = *protocol.post;
  train::ViewOptions views = post.views;
  views.batch_size = protocol.training.batch_size;
  return fmt::format(
      "Views: {}. Divergence from the teacher at temperature {}{}; its BatchNorm takes {} "
      "statistics. Decay: {}.{}{}{}",
      views.text(), post.temperature, post.temperature_squared ? ", times its square" : "",
      post.batch_statistics ? "the batch's" : "its running",
      protocol.training.decay_weights_only ? "of weights alone" : "of all parameters",
      post.batch_size ? " Batches go by the set." : "",
      post.learning_rate ? " The rate goes by the student." : "",
      post.mosaics
          ? " Of mosaics of f times f patches, patches are shuffled, and crops are from 1 / "
            "f on."
          : "");
}

Json describe_stream(const continual::StreamKind& stream) {
  Json one{{"kind", "stream"},
           {"name", stream.name},
           {"summary", stream.summary},
           {"tasks", stream.tasks},
           {"network", stream.network},
           {"protocol", stream.protocol},
           {"deviations", stream.deviations}};
  if (stream.samples_per_task > 0) one["samples_per_task"] = stream.samples_per_task;
  if (stream.once) one["memory"] = stream.memory, one["glances"] = stream.glances;
  return one;
}

void print_stream(std::ostream& out, const Json& stream) {
  const auto text = [&](const char* key) { return stream.at(key).get<std::string>(); };
  out << fmt::format(
      "## stream {}\n\n{}.\n\n{} tasks of {} samples, network {}, protocol {}", text("name"),
      text("summary"), stream.at("tasks").dump(),
      stream.contains("samples_per_task") ? stream["samples_per_task"].dump() : "all",
      text("network"), text("protocol"));
  if (stream.contains("memory"))
    out << fmt::format(", a memory of {} images, {} steps on each batch", stream["memory"].dump(),
                       stream["glances"].dump());
  out << ".\n\n";
  print_deviations(out, stream.at("deviations"));
}

Json describe_protocol(const eval::Protocol& protocol) {
  const train::TrainOptions& t = protocol.training;
  Json training{{"optimiser", t.optimizer},       {"learning_rate", t.learning_rate},
                {"weight_decay", t.weight_decay}, {"schedule", t.schedule},
                {"batch_size", t.batch_size},     {"augmentation", t.augmentation}};
  if (t.optimizer == "sgd") training["momentum"] = t.momentum;
  if (!protocol.steps) training["epochs"] = t.epochs;
  if (t.warmup_epochs > 0) training["warmup_epochs"] = t.warmup_epochs;
  if (t.warmup_steps > 0) training["warmup_steps"] = t.warmup_steps;
  Json one{{"kind", "protocol"},
           {"name", protocol.name},
           {"summary", protocol.summary},
           {"training", training}};
  if (protocol.post) one["post_training"] = post_training_text(protocol);
  return one;
}

std::string after_warmup(const Json& training) {
  for (const char* unit : {"epochs", "steps"}) {
    const auto found = training.find(std::string("warmup_") + unit);
    if (found != training.end()) return fmt::format(" after {} {} of warm-up", found->dump(), unit);
  }
  return "";
}

void print_protocol(std::ostream& out, const Json& protocol) {
  const Json& t = protocol.at("training");
  const auto text = [&](const char* key) { return t.at(key).get<std::string>(); };
  const auto number = [&](const char* key) { return t.at(key).get<double>(); };
  out << fmt::format(
      "## protocol {}\n\n{}.\n\n{} with rate {}, {}weight decay {}, schedule {}, {}, "
      "batches of {}, augmentation {}.\n\n",
      protocol.at("name").get<std::string>(), protocol.at("summary").get<std::string>(),
      text("optimiser"), number("learning_rate"),
      t.contains("momentum") ? fmt::format("momentum {}, ", number("momentum")) : "",
      number("weight_decay"), text("schedule") + after_warmup(t),
      t.contains("epochs") ? fmt::format("{} epochs", t.at("epochs").get<int64_t>())
                           : "steps by the number of images",
      t.at("batch_size").get<int64_t>(), text("augmentation"));
  if (protocol.contains("post_training"))
    out << protocol["post_training"].get<std::string>() << "\n\n";
}

Json describe_network(const nets::NetworkEntry& network) {
  return {{"kind", "network"},
          {"name", network.name},
          {"summary", network.summary},
          {"variants", network.variants}};
}

void print_network(std::ostream& out, const Json& network) {
  out << fmt::format("## network {}\n\n{}.\n\nVariants, joined by dashes: {}.\n\n",
                     network.at("name").get<std::string>(),
                     network.at("summary").get<std::string>(),
                     network.at("variants").get<std::string>());
}

/// The whole of docs/methods.md.
void print_markdown(std::ostream& out) {
  out << "# Methods and options\n\nPrinted by `retort describe --markdown`; a test compares the "
         "two.\n\n";
  for (const auto& entry : methods::method_table()) print_method(out, describe_method(entry));
  out << "# Options of every distillation\n\n";
  print_options(out, options_of(methods::DistillOptions{}));
  out << "\n# Parametrisations\n\n";
  for (const auto& entry : synthetic::parametrisation_table())
    print_parametrisation(out, describe_parametrisation(entry));
  out << "# Options of experts\n\n";
  print_options(out, options_of(trajectories::ExpertOptions{}));
  out << "\n# Options of the data\n\n";
  print_options(out, options_of(data::DataOptions{}));
  out << "\n# Options of an evaluation\n\n";
  print_options(out, options_of(eval::EvalOptions{}));
  out << "\n# Networks\n\n";
  for (const auto& network : nets::network_table()) print_network(out, describe_network(network));
  out << "# Protocols\n\n";
  for (const auto& protocol : eval::protocols()) print_protocol(out, describe_protocol(protocol));
  out << "# Streams of tasks\n\n";
  for (const auto& stream : continual::stream_kinds()) print_stream(out, describe_stream(stream));
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
std::vector<Json> describe(const std::string& name) {
  std::vector<Json> found;
  const auto look = [&](const auto& table, auto&& to_json) {
    for (const auto& entry : table)
      if (entry.name == name) found.push_back(to_json(entry));
  };
  look(methods::method_table(), describe_method);
  look(synthetic::parametrisation_table(), describe_parametrisation);
  look(nets::network_table(), describe_network);
  look(eval::protocols(), describe_protocol);
  look(continual::stream_kinds(), describe_stream);
  if (found.empty())
    throw ConfigError::unknown("describing '" + name + "'",
                               "method, parametrisation, network, protocol or stream", name,
                               all_names());
  return found;
}

void print(std::ostream& out, const Json& entry) {
  const auto kind = entry.at("kind").get<std::string>();
  if (kind == "method") print_method(out, entry);
  if (kind == "parametrisation") print_parametrisation(out, entry);
  if (kind == "network") print_network(out, entry);
  if (kind == "protocol") print_protocol(out, entry);
  if (kind == "stream") print_stream(out, entry);
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
    entries = describe(name);
    for (const Json& entry : entries) print(text, entry);
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
