// retort import: published sets and folders of images as bundles, published networks as teachers.
#include <cmath>
#include <optional>
#include <ostream>

#include "cli/arguments.h"
#include "cli/host.h"
#include "retort/core/error.h"
#include "retort/core/records.h"
#include "retort/synthetic/bundle.h"
#include "teachers/import_teacher.h"

namespace retort::cli {

namespace {

/// What one command line of `import` sets.
struct Settings {
  std::string file, teacher, out, objective = "imported", labels = "auto", pixels = "auto";
  int64_t which = 0, probe_epochs = 0, mosaic = 1;
  data::DataOptions data;
  MachineOptions machine;
  OptionSet options;

  Settings() {
    options.group("Import");
    options.add("out", out, "the bundle or teacher to write (.safetensors)");
    options.add("which", which, "number of the experiment, from 0, in a file that holds several",
                {.min = 0});
    options.add("labels", labels,
                "what rows of numbers are: logits become probabilities by a softmax; targets are "
                "those of a regression; auto: as the layout says, else refused",
                {.choices = synthetic::import_labels()});
    options.add("pixels", pixels,
                "what images of floats are: network input, or pixels from 0 to 1, -1 to 1, 0 to "
                "255; auto: compared with --data",
                {.choices = synthetic::import_pixels()});
    options.add("mosaic", mosaic,
                "patches along a side of every image, of a set of mosaics (RDED): protocol rded "
                "shuffles them",
                {.min = 1, .max = 64});
    options.add("teacher", teacher, "a published ResNet, .pt, .pth or .safetensors, as a teacher");
    options.add("objective", objective, "--teacher: what it was trained for",
                {.choices = {"imported", "supervised", "moco", "simsiam", "swav", "dino"}});
    options.add(
        "probe_epochs", probe_epochs,
        "--teacher: epochs in which the last layer is trained anew on frozen features; 0: none",
        {.min = 0, .max = 1e5});
    options.group("Data the set or teacher was made from");
    data.declare(options);
    machine.declare(options);
  }
};

void print(const Environment& environment, const Settings& settings, const Json& json,
           const std::string& text) {
  if (settings.machine.json)
    environment.out << json_text(json, 2) << "\n";
  else
    environment.out << text << "\n";
}

void require_last_layer(const Settings& settings, const teachers::ImportedTeacher& imported) {
  if (imported.whole || settings.probe_epochs > 0) return;
  const int64_t wanted = imported.teacher.shape.classes, found = imported.last_classes;
  throw ConfigError(ErrorMessage{
      "importing the teacher '" + settings.teacher + "'",
      found > 0 ? fmt::format("its last layer is for {} classes, the data have {}", found, wanted)
                : fmt::format("it has no last layer for the {} classes of the data", wanted),
      fmt::format("a network trained for these {} classes", wanted),
      "give the data that it was trained on, or --data and --probe-epochs, such as 20, to "
      "train a last layer anew on its features"});
}

/// Without --data, a teacher is one of ImageNet's 1000 classes.
int import_teacher(const Environment& environment, Settings& settings) {
  teachers::ImportedTeacher imported;
  if (settings.options.find("data")->was_set) {
    const at::Device device = settings.machine.apply(environment);
    const data::Dataset data = open_data(environment, settings.data);
    teachers::TeacherImport about = teachers::of_data(data);
    about.objective = settings.objective;
    imported = teachers::import_teacher(settings.teacher, about);
    require_last_layer(settings, imported);
    teachers::check_teacher(imported.teacher, "importing the teacher '" + settings.teacher + "'",
                            data);
    teachers::probe_teacher(imported.teacher, data, settings.probe_epochs, device);
  } else {
    constexpr int64_t kUsualSide = 224;
    teachers::TeacherImport about =
        teachers::of_imagenet(settings.data.resolution > 0 ? settings.data.resolution : kUsualSide);
    about.objective = settings.objective;
    settings.probe_epochs = 0;  // there is nothing to train on
    imported = teachers::import_teacher(settings.teacher, about);
    require_last_layer(settings, imported);
  }
  teachers::write_teacher(settings.out, imported.teacher);
  const teachers::Teacher& teacher = imported.teacher;
  Json json{{"out", settings.out},
            {"network", teacher.network},
            {"classes", teacher.shape.classes},
            {"prefix", imported.prefix}};
  std::string text = fmt::format("{} of {} classes, from the tensors '{}*', to {}", teacher.network,
                                 teacher.shape.classes, imported.prefix, settings.out);
  if (std::isfinite(teacher.validation_accuracy)) {
    json["accuracy"] = teacher.validation_accuracy;
    text += fmt::format("\naccuracy {:.1f} %", 100 * teacher.validation_accuracy);
  }
  print(environment, settings, json, text);
  return 0;
}

/// What a file does not say itself comes from the data that the set was made from.
synthetic::Bundle read_set(const Settings& settings, const data::Dataset* data,
                           std::vector<std::string>& notes) {
  synthetic::ImportOptions options;
  options.labels = settings.labels;
  options.pixels = settings.pixels;
  options.data = data;
  if (data) {
    options.class_names = data->class_names;
    options.preprocessing = data->preprocessing;
    options.data_name = data->name;
  }
  return synthetic::import_bundle(settings.file, options, settings.which, &notes);
}

int import_set(const Environment& environment, const Settings& settings) {
  std::optional<data::Dataset> data;
  if (settings.options.find("data")->was_set) data = open_data(environment, settings.data);
  std::vector<std::string> notes;
  synthetic::Bundle bundle = read_set(settings, data ? &*data : nullptr, notes);
  if (settings.mosaic > 1) bundle.recipe += fmt::format("mosaic = {}\n", settings.mosaic);
  // Only our own exports say what they were made from.
  if (!data && bundle.data_name.empty())
    throw ConfigError(
        ErrorMessage{"importing '" + settings.file + "'",
                     "the file names neither its classes nor the normalisation of its images",
                     "--data, the data that the set was made from",
                     "give --data, such as cifar-10-batches-bin"});
  synthetic::save_bundle(settings.out, bundle);
  for (const std::string& note : notes) environment.err << "note: " << note << "\n";
  print(environment, settings,
        {{"out", settings.out},
         {"images", bundle.images.size(0)},
         {"classes", bundle.classes()},
         {"notes", notes}},
        fmt::format("{} images of {} classes to {}", bundle.images.size(0), bundle.classes(),
                    settings.out));
  return 0;
}

}  // namespace

int run_import(const Environment& environment, const Arguments& arguments) {
  Settings settings;
  const Usage usage{
      "import",
      "Reads a published set as a bundle, or a published network as a teacher: class names and "
      "normalisation come from --data where the file does not say them.",
      "Examples:\n  retort import res_DM_CIFAR10_ConvNet_10ipc.pt --data cifar-10-batches-bin "
      "--out dm.safetensors\n"
      "  retort import pictures/ --data cifar-10-batches-bin --out mine.safetensors\n"
      "  retort import --teacher resnet18-f37072fd.pth --out resnet18.safetensors\n"
      "  retort import --teacher moco_v2_800ep_pretrain.pth.tar --data imagenet.pack "
      "--probe-epochs 20 --out moco.safetensors\n"};
  if (!parse(environment, usage, arguments, settings.options,
             {{"file", "a .pt, .npz or folder of class folders of PNGs", &settings.file, false}}))
    return 0;
  Problems problems;
  if (settings.out.empty()) problems.add("missing: --out, the bundle or teacher to write");
  if (settings.file.empty() == settings.teacher.empty())
    problems.add(settings.file.empty() ? "missing: the file to import"
                                       : "a file and --teacher: give one of them");
  problems.raise("reading the options of 'retort import'");
  return settings.teacher.empty() ? import_set(environment, settings)
                                  : import_teacher(environment, settings);
}

}  // namespace retort::cli
