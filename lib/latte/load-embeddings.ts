import { chooseModel, isLatte } from '../checkpoint/choose-model.js';
import { Fields } from '../checkpoint/config-fields.js';
import { familyOf } from '../checkpoint/names.js';
import { checkArgumentCount } from '../options.js';
import { TransformerEmbeddings } from '../transformer/embeddings.js';
import { withCheckpoint, type FromPretrainedOptions } from '../transformer/open.js';
import { LatteEmbeddings } from './embeddings.js';

/**
 * Loads the condition-embedding layers of any model that the package knows, by its config.json:
 * {@link LatteEmbeddings} for Latte and PixArt, {@link TransformerEmbeddings} for the others.
 * @param folder the folder with config.json, or the folder above its `transformer`.
 * @throws LatteError as the `fromPretrained` of these classes.
 */
export async function loadEmbeddings(
  folder: string,
  options?: FromPretrainedOptions,
): Promise<LatteEmbeddings | TransformerEmbeddings> {
  checkArgumentCount(arguments, 2, 'loadEmbeddings(folder, options)');
  return withCheckpoint<LatteEmbeddings | TransformerEmbeddings>(
    folder,
    options,
    async (checkpoint, config, settings) => {
      const chosen = chooseModel(new Fields(config.path, config.raw), familyOf(checkpoint));
      return isLatte(chosen)
        ? LatteEmbeddings.load(checkpoint, config, chosen, settings)
        : TransformerEmbeddings.load(checkpoint, config, chosen, settings);
    },
  );
}
