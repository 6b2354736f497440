try {
  const theme = localStorage.getItem('catchment.theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch {}
