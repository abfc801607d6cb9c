#include "cli/descriptions.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <ostream>

#include "methods/division.h"
#include "retort/methods/distill.h"

namespace retort::cli {
namespace {

void print_deviations(std::ostream& out, const Json& deviations) {
  if (deviations.empty()) return;
  out << "Where it differs from the reference code:\n\n";
  for (const Json& deviation : deviations) out << "- " << deviation.get<std::string>() << "\n";
  out << "\n";
}

void print_division(std::ostream& out, const Json& division) {
  const auto text = [&](const char* key) { return division.at(key).get<std::string>(); };
  if (text("shared").empty())
    out << fmt::format("Several processes do not share it: {}.\n\n", text("does_not_divide"));
  else
    out << fmt::format(
        "Several processes share: {}. Between them crosses: {}. Not divided: {}.\n\n",
        text("shared"), text("crosses"), text("does_not_divide"));
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
  print_division(out, method.at("processes"));
  print_deviations(out, method.at("deviations"));
}

void print_parametrisation(std::ostream& out, const Json& entry) {
  out << fmt::format("## parametrisation {}\n\n{}.\n\n", entry.at("name").get<std::string>(),
                     entry.at("summary").get<std::string>());
  print_options(out, entry.at("options"));
  out << "\n";
}

void print_network(std::ostream& out, const Json& network) {
  out << fmt::format("## network {}\n\n{}.\n\nVariants, joined by dashes: {}.\n\n",
                     network.at("name").get<std::string>(),
                     network.at("summary").get<std::string>(),
                     network.at("variants").get<std::string>());
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

std::string views_text(const train::ViewOptions& views, int64_t batch) {
  std::string text = fmt::format("Students see batches of {} views", batch);
  if (views.padding > 0)
    text += fmt::format(", images shifted by up to {} pixels", views.padding);
  else if (views.min_crop_area < 1)
    text += fmt::format(", crops of at least {:g} % of an image", 100 * views.min_crop_area);
  if (views.flip) text += ", half of them mirrored";
  if (views.mixing != "none")
    text += fmt::format(", mixed by {}", views.mixing == "mixup" ? "MixUp" : "CutMix");
  if (views.mixing == "mixup") text += fmt::format(" (alpha {:g})", views.alpha);
  return text;
}

/// What a post-training does beside training on images, in sentences.
std::string post_training_text(const eval::Protocol& protocol) {
  const eval::PostTraining& post = *protocol.post;
  return fmt::format(
      "{}. They learn the teacher's labels of these views by the divergence at temperature {}{}; "
      "the teacher's BatchNorm takes {}. Weight decay moves {}.{}{}{}",
      views_text(post.views, protocol.training.batch_size), post.temperature,
      post.temperature_squared ? ", times its square" : "",
      post.batch_statistics ? "the statistics of the batch" : "its running statistics",
      protocol.training.decay_weights_only ? "weights alone" : "all parameters",
      post.batch_size ? " The size of a batch depends on the set." : "",
      post.learning_rate ? " The learning rate depends on the student." : "",
      post.mosaics ? " The patches of mosaics, f by f an image, are shuffled, and crops are of at "
                     "least 1 / f of it."
                   : "");
}

}  // namespace

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

Json describe(const methods::MethodEntry& entry) {
  const auto method = entry.make();
  const methods::Division division = methods::division_of(entry.name);
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
          {"processes",
           {{"shared", division.shared},
            {"crosses", division.crosses},
            {"does_not_divide", division.rest}}},
          {"deviations", method->deviations()}};
}

Json describe(const synthetic::ParametrisationEntry& entry) {
  return {{"kind", "parametrisation"},
          {"name", entry.name},
          {"summary", entry.summary},
          {"options", options_of(*entry.make())}};
}

Json describe(const continual::StreamKind& stream) {
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

Json describe(const eval::Protocol& protocol) {
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

Json describe(const nets::NetworkEntry& network) {
  return {{"kind", "network"},
          {"name", network.name},
          {"summary", network.summary},
          {"variants", network.variants}};
}

void print_entry(std::ostream& out, const Json& entry) {
  const auto kind = entry.at("kind").get<std::string>();
  if (kind == "method") print_method(out, entry);
  if (kind == "parametrisation") print_parametrisation(out, entry);
  if (kind == "network") print_network(out, entry);
  if (kind == "protocol") print_protocol(out, entry);
  if (kind == "stream") print_stream(out, entry);
}

}  // namespace retort::cli
