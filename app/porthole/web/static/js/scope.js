/** What one signs in to where Keystone knows the users. */

/**
 * @param {string} project its name
 * @param {string} domain of user and project, by name; empty for Keystone's default domain
 * @returns {{project: string, user_domain?: string}} keys of the API's call; a domain that is not named is left out
 */
export function scopeOf(project, domain) {
  const named = domain.trim();
  return named ? { project: project.trim(), user_domain: named } : { project: project.trim() };
}
