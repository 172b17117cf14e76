/** How an agent introduces itself: what `GET /config` tells everybody, as the panel shows it. */

import type { Words } from './i18n';
import type { AgentLook } from './types';
import { initial } from './view';

export interface Introduction {
  agent: {
    name: string;
    greeting: string;
    suggested_messages: string[];
    live_help_label: string;
    avatar_config: { text?: string };
    style: { theme?: string; position?: string; primary_color?: string; dark_primary_color?: string };
  };
  organization: { name: string };
}

// The words that come with a new agent are ours, and so in the visitor's language.
const DEFAULT_PERSON = 'Talk to a person';

export function lookOf({ agent, organization }: Introduction, words: Words): AgentLook {
  const { style } = agent;
  const name = agent.name || organization.name;
  return {
    name,
    greeting: agent.greeting,
    suggestions: agent.suggested_messages,
    personLabel: agent.live_help_label === DEFAULT_PERSON ? words.person : agent.live_help_label,
    colours: { light: style.primary_color ?? '', dark: style.dark_primary_color ?? style.primary_color ?? '' },
    theme: style.theme ?? 'auto',
    position: style.position ?? 'right',
    initials: agent.avatar_config.text || initial(name),
  };
}
